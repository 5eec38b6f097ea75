package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Provider holds what one manager needs installed in the API server, as multi-document YAML. The webhooks of both
// point at a Service; whoever installs them points them at the manager's address instead.
type Provider struct {
	// Name is the name of the manager's program.
	Name string
	// CRDs is the build of the module's config/crd: with contract labels, patches and conversion webhooks.
	CRDs []byte
	// Webhooks is the module's config/webhook/manifests.yaml.
	Webhooks []byte
}

// config says in which module, and where in it, the configuration of a manager is.
type config struct{ name, nested, module, dir string }

func configs() []config {
	return []config{
		{Core, "capi", capiModule, "core/config"},
		{KubeadmBootstrap, "capi", capiModule, "bootstrap/kubeadm/config"},
		{KubeadmControlPlane, "capi", capiModule, "controlplane/kubeadm/config"},
		{CAPX, "capx", capxModule, "config"},
	}
}

// Providers returns the CRDs and webhook configurations of the Cluster API and CAPX managers, from the cache or built
// with kustomize from their modules.
func (b *Builder) Providers(ctx context.Context) ([]Provider, error) {
	var all []Provider
	for _, c := range configs() {
		p, err := b.provider(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("manifests of %s: %w", c.name, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (b *Builder) provider(ctx context.Context, c config) (Provider, error) {
	dir, err := b.moduleCache(c.nested)
	if err != nil {
		return Provider{}, err
	}
	if p, missing := cachedProvider(c, dir); missing == nil {
		return p, nil
	}
	unlock, err := b.lock(ctx, dir, "the manifests of "+c.name)
	if err != nil {
		return Provider{}, err
	}
	defer unlock()
	if p, missing := cachedProvider(c, dir); missing == nil {
		return p, nil
	}
	source, err := b.moduleDir(ctx, c.nested, c.module)
	if err != nil {
		return Provider{}, err
	}
	p := Provider{Name: c.name}
	if p.CRDs, err = kustomize(filepath.Join(source, c.dir, "crd")); err != nil {
		return Provider{}, err
	}
	webhooks := filepath.Join(source, c.dir, "webhook", "manifests.yaml")
	if p.Webhooks, err = os.ReadFile(webhooks); err != nil { //nolint:gosec // a file of a pinned module
		return Provider{}, fmt.Errorf("reading webhook configurations: %w", err)
	}
	crdFile, webhookFile := providerFiles(c, dir)
	return p, errors.Join(replaceFile(crdFile, p.CRDs), replaceFile(webhookFile, p.Webhooks))
}

func providerFiles(c config, dir string) (crds, webhooks string) {
	return filepath.Join(dir, c.name+"-crds.yaml"), filepath.Join(dir, c.name+"-webhooks.yaml")
}

func cachedProvider(c config, dir string) (Provider, error) {
	crdFile, webhookFile := providerFiles(c, dir)
	crds, crdErr := os.ReadFile(crdFile)             //nolint:gosec // below our cache
	webhooks, webhookErr := os.ReadFile(webhookFile) //nolint:gosec // below our cache
	return Provider{Name: c.name, CRDs: crds, Webhooks: webhooks}, errors.Join(crdErr, webhookErr)
}

func kustomize(dir string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsNone // CAPX's flavors refer to its templates
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	out, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	return out, nil
}

// replaceFile writes a file in one step, so that a reader never sees half of it.
func replaceFile(path string, data []byte) error {
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, data, 0o600); err != nil { //nolint:gosec // below our cache
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// ClusterTemplate is the path of CAPX's default cluster template, from which clusterctl generates clusters.
func (b *Builder) ClusterTemplate(ctx context.Context) (string, error) {
	dir, err := b.moduleDir(ctx, "capx", capxModule)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "templates", "cluster-template.yaml"), nil
}

// Flavor is one of the cluster templates that CAPX's own end-to-end suite uses, by the name of its directory, for
// clusterctl to generate clusters from.
func (b *Builder) Flavor(ctx context.Context, name string) ([]byte, error) {
	dir, err := b.moduleDir(ctx, "capx", capxModule)
	if err != nil {
		return nil, err
	}
	return kustomize(filepath.Join(dir, "test", "e2e", "data", "infrastructure-nutanix", "v1beta1", name))
}

// GiteaFiles is the directory of Gitea's module, whose folders templates, options and public it serves from.
func (b *Builder) GiteaFiles(ctx context.Context) (string, error) {
	return b.moduleDir(ctx, "gitea", giteaModule)
}
