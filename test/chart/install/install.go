// Package install installs charts/refract into a test world with the real helm, and says how the operator is to be run
// as the chart's Deployment says it: with its arguments and environment, under its service account. It needs a world's
// API server only.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// Options of a release. The zero value installs the chart of this tree as a user who follows docs/install.md does.
type Options struct {
	// Name of the release. Default "refract".
	Name string
	// Namespace of the release, which is made if it is missing, with pod security "restricted" enforced. Default
	// "refract-system".
	Namespace string
	// Chart is the directory of the chart. Default: charts/refract of this tree.
	Chart string
	// Values in place of the chart's.
	Values map[string]any
	// Flags of helm install, such as --take-ownership.
	Flags []string
}

// Release of the chart in a world.
type Release struct {
	// Name of the release.
	Name string
	// Namespace of the release.
	Namespace string
	// Client acts as an administrator.
	Client client.Client

	world *world.World
	helm  string
}

// Chart is the directory of this tree's chart.
func Chart() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "charts", "refract")
}

// Helm returns the path of the real helm, built if the cache does not hold it.
func Helm(ctx context.Context) (string, error) {
	if err := rig.Uses(Chart()); err != nil {
		return "", err
	}
	builder, err := controlplane.New(ctx, os.Stderr)
	if err != nil {
		return "", err
	}
	built, err := builder.Build(ctx, controlplane.Helm)
	if err != nil {
		return "", err
	}
	return built[0].Path, nil
}

// New makes ready to install a release: it has helm built and makes the namespace.
func New(ctx context.Context, w *world.World, name, namespace string) (*Release, error) {
	helm, err := Helm(ctx)
	if err != nil {
		return nil, err
	}
	r := &Release{Name: name, Namespace: namespace, world: w, helm: helm}
	if r.Client, err = client.New(w.REST, client.Options{}); err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	err = r.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
	if client.IgnoreAlreadyExists(err) != nil {
		return nil, fmt.Errorf("making the namespace: %w", err)
	}
	return r, nil
}

// Install installs the chart and waits until its CRDs are served. Nothing runs the Deployment: a world has no kubelet.
// The error carries what helm said.
func Install(ctx context.Context, w *world.World, o Options) (*Release, error) {
	if o.Name == "" {
		o.Name = "refract"
	}
	if o.Namespace == "" {
		o.Namespace = "refract-system"
	}
	r, err := New(ctx, w, o.Name, o.Namespace)
	if err != nil {
		return nil, err
	}
	return r, r.Install(ctx, o.Chart, o.Values, o.Flags...)
}

// Install installs a chart, this tree's if its directory is empty, as this release.
func (r *Release) Install(ctx context.Context, chart string, values map[string]any, flags ...string) error {
	return r.put(ctx, "install", chart, values, flags)
}

// Upgrade upgrades the release to a chart, this tree's if its directory is empty. Values that are not given are the
// chart's.
func (r *Release) Upgrade(ctx context.Context, chart string, values map[string]any, flags ...string) error {
	return r.put(ctx, "upgrade", chart, values, flags)
}

// Uninstall uninstalls the release.
func (r *Release) Uninstall(ctx context.Context) error {
	_, err := r.Helm(ctx, "uninstall", r.Name)
	return err
}

func (r *Release) put(ctx context.Context, verb, chart string, values map[string]any, flags []string) error {
	if chart == "" {
		chart = Chart()
	}
	file, err := valuesFile(r.world.Dir(), values)
	if err != nil {
		return err
	}
	if _, err := r.Helm(ctx, append([]string{verb, r.Name, chart, "--values", file}, flags...)...); err != nil {
		return err
	}
	return r.served(ctx)
}

// Helm runs a helm command in the release's namespace and returns what it writes. The error carries what it says.
func (r *Release) Helm(ctx context.Context, args ...string) (string, error) {
	return run(ctx, r.helm, r.world.Dir(), append(args, "--namespace", r.Namespace, "--kubeconfig", r.world.Kubeconfig))
}

// Render renders a chart, this tree's if its directory is empty, without any cluster, as helm template does: the objects
// as YAML. dir is a scratch directory. The error carries what helm said.
func Render(ctx context.Context, dir, chart string, values map[string]any, flags ...string) (string, error) {
	helm, err := Helm(ctx)
	if err != nil {
		return "", err
	}
	if chart == "" {
		chart = Chart()
	}
	file, err := valuesFile(dir, values)
	if err != nil {
		return "", err
	}
	args := []string{
		"template", "refract", chart, "--values", file, "--namespace", "refract-system",
		"--kube-version", controlplane.KubernetesVersion,
	}
	return run(ctx, helm, dir, append(args, flags...))
}

// Lint has helm lint this tree's chart, where warnings are errors, and returns what it says.
func Lint(ctx context.Context, dir string, values map[string]any) (string, error) {
	helm, err := Helm(ctx)
	if err != nil {
		return "", err
	}
	file, err := valuesFile(dir, values)
	if err != nil {
		return "", err
	}
	return run(ctx, helm, dir, []string{"lint", "--strict", "--values", file, Chart()})
}

// run runs helm without the user's own configuration.
func run(ctx context.Context, helm, home string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, helm, args...) //nolint:gosec // the helm that we built
	cmd.Env = append(os.Environ(),
		"HELM_CACHE_HOME="+filepath.Join(home, "helm", "cache"),
		"HELM_CONFIG_HOME="+filepath.Join(home, "helm", "config"),
		"HELM_DATA_HOME="+filepath.Join(home, "helm", "data"),
		"HELM_DRIVER=", "HELM_NAMESPACE=", "KUBECONFIG=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}

func valuesFile(dir string, values map[string]any) (string, error) {
	if values == nil {
		values = map[string]any{}
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("values: %w", err)
	}
	file, err := os.CreateTemp(dir, "values-*.yaml")
	if err != nil {
		return "", fmt.Errorf("values: %w", err)
	}
	_, err = file.Write(text)
	return file.Name(), errors.Join(err, file.Close())
}

// served waits until the API server serves our kinds.
func (r *Release) served(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := r.list(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the chart's CRDs are not served: %w", err)
		case <-tick.C:
		}
	}
}

func (r *Release) list(ctx context.Context) error {
	for _, kind := range []string{"FleetList", "CloudAccountList", "ClusterProfileList", "NutanixClusterSpecList"} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(groupVersion.WithKind(kind))
		if err := r.Client.List(ctx, list, client.Limit(1)); err != nil {
			return err
		}
	}
	return nil
}
