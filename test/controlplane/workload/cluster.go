package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	inmemory "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/runtime"
	"sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server/api"
	"sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server/etcd"
)

// cluster is one workload cluster: a listener at its endpoint and a group of objects in the store.
type cluster struct {
	endpoint string
	manager  inmemory.Manager
	server   *http.Server

	apiCA, etcdCA *authority
	apiServing    *tls.Certificate

	mu      sync.Mutex
	members map[string]*tls.Certificate // serving certificate by name of the etcd pod
	nextID  int
}

// newCluster makes the objects of kubeadm init and starts to serve at the endpoint.
func newCluster(ctx context.Context, manager inmemory.Manager, m *machine) (*cluster, error) {
	if err := loopbackOnly(m.endpoint); err != nil {
		return nil, fmt.Errorf("control-plane endpoint: %w", err)
	}
	c := &cluster{endpoint: m.endpoint, manager: manager, members: map[string]*tls.Certificate{}}
	var err error
	if c.apiCA, err = readAuthority(m.files, pkiDir+"ca"); err != nil {
		return nil, err
	}
	if c.etcdCA, err = readAuthority(m.files, pkiDir+"etcd/ca"); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(m.endpoint)
	if err != nil {
		return nil, fmt.Errorf("control-plane endpoint: %w", err)
	}
	if c.apiServing, err = c.apiCA.serving("kube-apiserver", []string{"localhost", "kubernetes"}, net.ParseIP(host)); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.endpoint)
	if err != nil {
		return nil, fmt.Errorf("control-plane endpoint: %w", err)
	}
	manager.AddResourceGroup(m.endpoint)
	if err := c.createKubeadmObjects(ctx, m); err != nil {
		_ = listener.Close()
		manager.DeleteResourceGroup(m.endpoint)
		return nil, err
	}
	c.serve(ctx, listener)
	return c, nil
}

// serve answers API and etcd requests. Both arrive at the same listener, because a port-forward to an etcd pod is
// looped back; the server name tells them apart.
func (c *cluster) serve(ctx context.Context, listener net.Listener) {
	log := logr.FromContextOrDiscard(ctx).WithValues("endpoint", c.endpoint)
	group := func(string) (string, error) { return c.endpoint, nil }
	apiHandler := withMoreKinds(api.NewAPIServerHandler(c.manager, log, group))
	etcdHandler := etcd.NewEtcdServerHandler(c.manager, log, group)
	c.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
				etcdHandler.ServeHTTP(w, r)
				return
			}
			apiHandler.ServeHTTP(w, r)
		}),
		TLSConfig: &tls.Config{GetConfigForClient: c.tlsConfig, MinVersion: tls.VersionTLS12},
	}
	go func() {
		err := c.server.ServeTLS(listener, "", "")
		log.Info("stopped serving", "because", err.Error())
	}()
}

// tlsConfig shows an etcd member's certificate to whom asks for that member, and the API server's to all others; both
// require a client certificate of their own authority.
func (c *cluster) tlsConfig(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	serving, ca := c.apiServing, c.apiCA
	c.mu.Lock()
	if member, ok := c.members[hello.ServerName]; ok {
		serving, ca = member, c.etcdCA
	}
	c.mu.Unlock()
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return &tls.Config{
		Certificates: []tls.Certificate{*serving},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		NextProtos:   []string{"h2", "http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}, nil
}

// addMember issues the serving certificate of an etcd member, so that it can be reached.
func (c *cluster) addMember(pod string) error {
	certificate, err := c.etcdCA.serving(pod, []string{pod, "localhost"}, net.IPv4(127, 0, 0, 1))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[pod] = certificate
	return nil
}

// removeMember forgets an etcd member and returns how many are left.
func (c *cluster) removeMember(pod string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, pod)
	return len(c.members)
}

// memberID returns a number that no member of this cluster has had.
func (c *cluster) memberID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID++
	return c.nextID
}

func (c *cluster) close() {
	_ = c.server.Close()
	c.manager.DeleteResourceGroup(c.endpoint)
}
