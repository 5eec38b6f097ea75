package world

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/refract-dev/refract/test/controlplane"
)

// masters is the group that may do everything.
const masters = "system:masters"

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, nonResourceURLs: ["/healthz*", "/readyz*", "/livez*"]}
  - {level: Metadata}
`

// startAPIServer starts etcd and kube-apiserver and connects as administrator.
func (w *World) startAPIServer(ctx context.Context) error {
	if err := w.run(ctx, w.etcd()); err != nil {
		return err
	}
	var err error
	if w.REST, err = w.User("refract-test-admin", masters); err != nil {
		return err
	}
	if w.Kubeconfig, err = w.writeKubeconfig("admin", w.REST); err != nil {
		return err
	}
	server, err := w.apiServer()
	if err != nil {
		return err
	}
	return w.run(ctx, server)
}

func (w *World) etcd() command {
	url := "http://" + w.addresses.at(hostAPIServer, portEtcd)
	peer := "http://" + w.addresses.at(hostAPIServer, portEtcdPeer)
	return command{
		name: controlplane.Etcd, path: w.programs[controlplane.Etcd],
		args: []string{
			"--name=world", "--data-dir=" + filepath.Join(w.dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=world=" + peer,
		},
		ready: func(ctx context.Context) error { return probe(ctx, http.DefaultClient, url+"/health") },
	}
}

// apiServer writes the files that kube-apiserver reads and returns how to start it.
func (w *World) apiServer() (command, error) {
	dir := filepath.Join(w.dir, "apiserver")
	serving, err := w.ca.serving(w.addresses.host(hostAPIServer))
	if err != nil {
		return command{}, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(serving.write(dir),
		os.WriteFile(file("ca.crt"), w.ca.pem, 0o600),
		os.WriteFile(file("audit.yaml"), []byte(auditPolicy), 0o600)); err != nil {
		return command{}, fmt.Errorf("files of kube-apiserver: %w", err)
	}
	host := w.addresses.host(hostAPIServer)
	args := []string{
		"--bind-address=" + host, "--advertise-address=" + host, "--secure-port=" + strconv.Itoa(portAPIServer),
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--etcd-servers=http://" + w.addresses.at(hostAPIServer, portEtcd),
		"--tls-cert-file=" + file("tls.crt"), "--tls-private-key-file=" + file("tls.key"), "--cert-dir=" + dir,
		"--client-ca-file=" + file("ca.crt"), "--authorization-mode=RBAC", "--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + file("tls.crt"), "--service-account-signing-key-file=" + file("tls.key"),
		"--disable-admission-plugins=ServiceAccount", // it waits for a controller that does not run
		"--enable-priority-and-fairness=false",
	}
	if w.options.AuditPolicy {
		args = append(args, "--audit-policy-file="+file("audit.yaml"), "--audit-log-path="+w.AuditLog())
	}
	return command{
		name: controlplane.KubeAPIServer, path: w.programs[controlplane.KubeAPIServer], args: args,
		ready: w.apiServerReady,
	}, nil
}

// apiServerReady asks for /readyz and for the namespace default, which appears a little later.
func (w *World) apiServerReady(ctx context.Context) error {
	c, err := rest.HTTPClientFor(w.REST)
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	defer c.CloseIdleConnections()
	if err := probe(ctx, c, w.REST.Host+"/readyz"); err != nil {
		return err
	}
	return probe(ctx, c, w.REST.Host+"/api/v1/namespaces/default")
}

// User returns a connection as a user of that name in those groups, known by a client certificate. What the user may
// do is up to RBAC objects.
func (w *World) User(name string, groups ...string) (*rest.Config, error) {
	p, err := w.ca.client(name, groups)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            "https://" + w.addresses.at(hostAPIServer, portAPIServer),
		TLSClientConfig: rest.TLSClientConfig{CAData: w.ca.pem, CertData: p.cert, KeyData: p.key},
		QPS:             -1,
	}, nil
}

// writeKubeconfig writes a connection as a kubeconfig file and returns its path.
func (w *World) writeKubeconfig(name string, c *rest.Config) (string, error) {
	path := filepath.Join(w.dir, name+".kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"world": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"world": {Cluster: "world", AuthInfo: name}},
		CurrentContext: "world",
	}, path)
	if err != nil {
		return "", fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return path, nil
}

// probe returns nil when a URL answers 200.
func probe(ctx context.Context, c *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("probing %s: %w", url, err)
	}
	response, err := c.Do(request)
	if err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("probing %s: %s", url, response.Status)
	}
	return nil
}

// dialTLS returns nil when a TLS server that this world's authority vouches for answers.
func (w *World) dialTLS(ctx context.Context, address string) error {
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: w.ca.pool(), MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dialling: %w", err)
	}
	return connection.Close()
}
