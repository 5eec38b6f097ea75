package world

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/refract-dev/refract/test/controlplane"
)

// hosts says at which address of the world's network each manager listens.
func hosts() map[string]int {
	return map[string]int{
		controlplane.Core:                  hostCore,
		controlplane.KubeadmBootstrap:      hostBootstrap,
		controlplane.KubeadmControlPlane:   hostControlPlane,
		controlplane.CAPX:                  hostCAPX,
		controlplane.KubeControllerManager: hostKCM,
	}
}

// Managers lists the names that StopManager and StartManager take.
func Managers() []string {
	return []string{
		controlplane.Core, controlplane.KubeadmBootstrap, controlplane.KubeadmControlPlane, controlplane.CAPX,
		controlplane.KubeControllerManager,
	}
}

// nothing is a label value for --watch-filter that no object has.
const nothing = "refract-test-nothing"

// startManagers starts all managers at once and installs their webhooks.
func (w *World) startManagers(ctx context.Context) error {
	if err := w.addresses.free(ctx, hostCAPX, portWebhook); err != nil {
		return err
	}
	if err := inParallel(Managers(), func(name string) error { return w.StartManager(ctx, name) }); err != nil {
		return err
	}
	return inParallel(w.providers, func(p controlplane.Provider) error {
		return w.installWebhooks(ctx, p.Name, p.Webhooks)
	})
}

// StopManager ends a manager at once, as a crash would, until StartManager. While it is away its admission and
// conversion webhooks are too, so writes to its kinds fail. A manager that does not run is left alone.
func (w *World) StopManager(name string) {
	w.mu.Lock()
	p, running := w.processes[name]
	delete(w.processes, name)
	w.mu.Unlock()
	if running {
		p.kill()
	}
}

// StartManager starts a manager, one of Managers, and waits until it and its webhooks are ready. It does nothing if
// the manager runs already.
func (w *World) StartManager(ctx context.Context, name string) error {
	if !slices.Contains(Managers(), name) {
		return fmt.Errorf("no manager is called %q; there are %v", name, Managers())
	}
	w.mu.Lock()
	_, running := w.processes[name]
	w.mu.Unlock()
	if running {
		return nil
	}
	c, err := w.manager(name)
	if err != nil {
		return fmt.Errorf("preparing %s: %w", name, err)
	}
	return w.run(ctx, c)
}

// manager prepares the certificates and the kubeconfig of a manager and returns how to start it. Each has its own
// user, so that an audit log tells them apart.
func (w *World) manager(name string) (command, error) {
	user, err := w.User(name, masters)
	if err != nil {
		return command{}, err
	}
	kubeconfig, err := w.writeKubeconfig(name, user)
	if err != nil {
		return command{}, err
	}
	host := hosts()[name]
	certificate, err := w.ca.serving(w.addresses.host(host))
	if err != nil {
		return command{}, err
	}
	dir := filepath.Join(w.dir, name)
	// CAPX has no flag for the directory of its certificates: it looks below its temporary directory.
	certificates := filepath.Join(dir, "k8s-webhook-server", "serving-certs")
	if err := certificate.write(certificates); err != nil {
		return command{}, fmt.Errorf("writing certificates: %w", err)
	}
	c := command{
		name: name, path: w.programs[name],
		args: []string{"--kubeconfig=" + kubeconfig},
		env:  []string{"TMPDIR=" + dir, controlplane.WebhookHostVariable + "=" + w.addresses.host(host)},
	}
	health := w.addresses.at(host, portHealth)
	switch name {
	case controlplane.KubeControllerManager:
		c.args = append(c.args, w.kcmFlags(certificates)...)
		c.ready = func(ctx context.Context) error { return w.dialTLS(ctx, w.addresses.at(host, portKCM)) }
		return c, nil
	case controlplane.CAPX:
		c.args = append(c.args, "--health-probe-bind-address="+health, "--diagnostics-address=0")
	default:
		c.args = append(c.args, w.capiFlags(name, host, certificates)...)
	}
	c.ready = func(ctx context.Context) error {
		if err := probe(ctx, http.DefaultClient, "http://"+health+"/readyz"); err != nil {
			return err
		}
		return w.dialTLS(ctx, w.addresses.at(host, portWebhook))
	}
	return c, nil
}

func (w *World) capiFlags(name string, host int, certificates string) []string {
	flags := []string{
		"--webhook-port=" + strconv.Itoa(portWebhook), "--webhook-cert-dir=" + certificates,
		"--health-addr=" + w.addresses.at(host, portHealth),
		"--diagnostics-address=" + w.addresses.at(host, portDiagnosis), "--insecure-diagnostics", "--v=2",
	}
	if name != controlplane.KubeadmBootstrap {
		flags = append(flags, "--feature-gates="+strings.Join(append([]string{"ClusterTopology=true"}, w.options.FeatureGates...), ","))
	}
	if w.options.NoReconcile {
		// The filter does not hold for what a reconciler hears of by way of other objects, as a ClusterResourceSet of its
		// Secrets: so they see no namespace but one.
		flags = append(flags, "--watch-filter="+nothing, "--namespace=default")
	}
	return flags
}

func (w *World) kcmFlags(certificates string) []string {
	return []string{
		"--controllers=garbage-collector-controller,namespace-controller", "--leader-elect=false",
		"--bind-address=" + w.addresses.host(hostKCM), "--secure-port=" + strconv.Itoa(portKCM),
		"--authentication-skip-lookup=true", "--tls-cert-file=" + filepath.Join(certificates, "tls.crt"),
		"--tls-private-key-file=" + filepath.Join(certificates, "tls.key"),
	}
}

// clientConfig tells the API server where a manager's webhook is.
func (w *World) clientConfig(manager, path string) map[string]any {
	return map[string]any{
		"url":      "https://" + w.addresses.at(hosts()[manager], portWebhook) + path,
		"caBundle": base64.StdEncoding.EncodeToString(w.ca.pem),
	}
}
