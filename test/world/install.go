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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const crdKind = "CustomResourceDefinition"

// installCRDs installs our own CRDs and those of the managers, and waits until the API server serves them.
func (w *World) installCRDs(ctx context.Context) error {
	var crds []*unstructured.Unstructured
	for _, p := range w.providers {
		objects, err := parse(p.CRDs)
		if err != nil {
			return fmt.Errorf("CRDs of %s: %w", p.Name, err)
		}
		for _, o := range objects {
			if err := w.pointConversion(o, p.Name); err != nil {
				return fmt.Errorf("CRD %s: %w", o.GetName(), err)
			}
		}
		crds = append(crds, objects...)
	}
	for _, dir := range w.options.CRDDirs {
		objects, err := parseDir(dir)
		if err != nil {
			return err
		}
		crds = append(crds, objects...)
	}
	crds = slices.DeleteFunc(crds, func(o *unstructured.Unstructured) bool { return o.GetKind() != crdKind })
	c, err := client.New(w.REST, client.Options{})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	done := w.step(fmt.Sprintf("%d CRDs are served", len(crds)))
	if err := inParallel(crds, func(o *unstructured.Unstructured) error {
		if err := c.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating CRD %s: %w", o.GetName(), err)
		}
		return established(ctx, c, o.GetName())
	}); err != nil {
		return err
	}
	done()
	return nil
}

// established waits until the API server serves a CRD.
func established(ctx context.Context, c client.Client, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind(crdKind)
	for {
		err := c.Get(ctx, client.ObjectKey{Name: name}, crd)
		if err == nil && hasCondition(crd, "Established") {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("CRD %s is not served: %w", name, ctx.Err()), err)
		case <-tick.C:
		}
	}
}

func hasCondition(o *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == kind && m["status"] == "True"
	})
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
