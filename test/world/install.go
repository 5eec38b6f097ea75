package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const crdKind = "CustomResourceDefinition"

// installCRDs installs our own CRDs and those of the managers, and waits until the API server serves them.
func (w *World) installCRDs(ctx context.Context) error {
	crds, err := w.crds()
	if err != nil {
		return err
	}
	c, err := client.New(w.REST, client.Options{})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(w.REST)
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	done := w.step(fmt.Sprintf("%d CRDs are served", len(crds)))
	err = inParallel(crds, func(o *unstructured.Unstructured) error {
		if failed := c.Create(ctx, o.DeepCopy()); failed != nil && !apierrors.IsAlreadyExists(failed) {
			return fmt.Errorf("creating CRD %s: %w", o.GetName(), failed)
		}
		return served(ctx, d, o)
	})
	if err != nil {
		return err
	}
	done()
	return nil
}

// crds reads the CRDs to install, pointed at this world's addresses.
func (w *World) crds() ([]*unstructured.Unstructured, error) {
	var crds []*unstructured.Unstructured
	for _, p := range w.providers {
		objects, err := parse(p.CRDs)
		if err != nil {
			return nil, fmt.Errorf("CRDs of %s: %w", p.Name, err)
		}
		for _, o := range objects {
			if err := w.pointConversion(o, p.Name); err != nil {
				return nil, fmt.Errorf("CRD %s: %w", o.GetName(), err)
			}
		}
		crds = append(crds, objects...)
	}
	for _, dir := range w.options.CRDDirs {
		objects, err := parseDir(dir)
		if err != nil {
			return nil, err
		}
		crds = append(crds, objects...)
	}
	return slices.DeleteFunc(crds, func(o *unstructured.Unstructured) bool { return o.GetKind() != crdKind }), nil
}

// served waits until the API server serves a CRD. It asks discovery, which is far smaller than a CRD with its status.
func served(ctx context.Context, d discovery.ServerResourcesInterface, crd *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	for {
		missing := ""
		for _, version := range servedVersions(crd) {
			list, err := d.ServerResourcesForGroupVersion(group + "/" + version)
			if err != nil || !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
				missing = version
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("CRD %s: version %s is not served: %w", crd.GetName(), missing, ctx.Err())
		case <-tick.C:
		}
	}
}

func servedVersions(crd *unstructured.Unstructured) []string {
	var names []string
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if name, _ := version["name"].(string); version["served"] == true {
			names = append(names, name)
		}
	}
	return names
}

// pointConversion sends the conversions of a CRD to its manager at this world's address, or, if none runs, removes
// them.
func (w *World) pointConversion(crd *unstructured.Unstructured, manager string) error {
	if _, found, _ := unstructured.NestedMap(crd.Object, "spec", "conversion", "webhook", "clientConfig"); !found {
		return nil
	}
	if !w.options.Managers {
		unstructured.RemoveNestedField(crd.Object, "spec", "conversion")
		return nil
	}
	return unstructured.SetNestedMap(crd.Object, w.clientConfig(manager, "/convert"), "spec", "conversion", "webhook", "clientConfig")
}

// installWebhooks installs the webhook configurations of one manager, pointed at this world's address.
func (w *World) installWebhooks(ctx context.Context, manager string, text []byte) error {
	objects, err := parse(text)
	if err != nil {
		return err
	}
	for _, o := range objects {
		o.SetName(manager + "-" + o.GetName()) // all providers use the same names
		if err := w.pointWebhooks(o, manager); err != nil {
			return fmt.Errorf("webhooks of %s: %w", manager, err)
		}
	}
	return w.apply(ctx, objects)
}

func (w *World) pointWebhooks(o *unstructured.Unstructured, manager string) error {
	webhooks, _, err := unstructured.NestedSlice(o.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, entry := range webhooks {
		webhook, ok := entry.(map[string]any)
		if !ok {
			return fmt.Errorf("webhook configuration %s is malformed", o.GetName())
		}
		path, _, err := unstructured.NestedString(webhook, "clientConfig", "service", "path")
		if err != nil {
			return err
		}
		webhook["clientConfig"] = w.clientConfig(manager, path)
	}
	return unstructured.SetNestedSlice(o.Object, webhooks, "webhooks")
}

// Apply applies the objects of a YAML text with server-side apply as field manager "test-world", in the order of the
// text, with force.
func (w *World) Apply(ctx context.Context, text []byte) error {
	objects, err := parse(text)
	if err != nil {
		return err
	}
	return w.apply(ctx, objects)
}

func (w *World) applyFiles(ctx context.Context, files []string) error {
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // named by the caller
		if err != nil {
			return fmt.Errorf("reading a manifest: %w", err)
		}
		if err := w.Apply(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func (w *World) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	c, err := client.New(w.REST, client.Options{})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	for _, o := range objects {
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.ForceOwnership, client.FieldOwner("test-world")); err != nil {
			if meta.IsNoMatchError(err) {
				return fmt.Errorf("%s %s: no such kind is served, install its CRD first: %w", o.GetKind(), o.GetName(), err)
			}
			return fmt.Errorf("applying %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

// parse reads the documents of a YAML text, skipping empty ones.
func parse(text []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading YAML document %d: %w", len(objects)+1, err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

func parseDir(dir string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(fmt.Errorf("no CRD file *.yaml in %s", dir), err)
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // named by the caller
		if err != nil {
			return nil, fmt.Errorf("reading a CRD: %w", err)
		}
		objects, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, objects...)
	}
	return all, nil
}

// inParallel calls f for each item at once and joins what fails.
func inParallel[T any](items []T, f func(T) error) error {
	failures := make([]error, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { failures[i] = f(item) })
	}
	all.Wait()
	return errors.Join(failures...)
}
