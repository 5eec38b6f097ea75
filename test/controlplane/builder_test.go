package controlplane

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A small module stands in for the real ones, which take minutes.
func TestBuild(t *testing.T) {
	t.Setenv(AssetsVariable, "")
	source := t.TempDir()
	b := &Builder{Source: source, Cache: t.TempDir(), Out: t.Output(), toolchain: "go"}
	main := filepath.Join(source, "workload", "main.go")
	write(t, filepath.Join(source, "workload", "go.mod"), "module example.com/m\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "workload", "go.sum"), "")
	write(t, main, "package main\n\nfunc main() { println(1) + }\n")

	_, err := b.Build(t.Context(), Workload)
	if err == nil || !strings.Contains(err.Error(), "building workload-clusters") || !strings.Contains(err.Error(), "main.go:3") {
		t.Errorf("a failed build says what failed and where: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.Cache, "*", "*workload*")); len(left) > 0 {
		t.Errorf("a failed build left %q", left)
	}

	write(t, main, "package main\n\nfunc main() { println(1) }\n")
	first, err := b.Build(t.Context(), Workload)
	if err != nil {
		t.Fatal(err)
	}
	if first[0].Took == 0 {
		t.Error("nothing was built")
	}
	if out, failed := exec.CommandContext(t.Context(), first[0].Path).CombinedOutput(); failed != nil || string(out) != "1\n" {
		t.Errorf("the program said %q: %v", out, failed)
	}
	again, err := b.Build(t.Context(), Workload)
	if err != nil || again[0].Took != 0 || again[0].Path != first[0].Path {
		t.Errorf("the same sources were built twice: %+v: %v", again, err)
	}

	write(t, main, "package main\n\nfunc main() { println(2) }\n")
	changed, err := b.Build(t.Context(), Workload)
	if err != nil || changed[0].Path == first[0].Path {
		t.Errorf("other sources are another program: %+v: %v", changed, err)
	}

	if _, err := b.Build(t.Context(), "kubelet"); err == nil || !strings.Contains(err.Error(), KubeAPIServer) {
		t.Errorf("an unknown name lists the known ones: %v", err)
	}
}

// Ready binaries are used for what they have; the rest is looked for as usual.
func TestAssetsAreUsed(t *testing.T) {
	assets := t.TempDir()
	t.Setenv(AssetsVariable, assets)
	write(t, filepath.Join(assets, Etcd), "binary")
	write(t, filepath.Join(assets, Workload), "not one of those that may be given")
	b := &Builder{Source: t.TempDir(), Cache: t.TempDir(), Out: t.Output(), toolchain: "go"}
	got, err := b.Build(t.Context(), Etcd)
	if err != nil || got[0].Path != filepath.Join(assets, Etcd) || got[0].Took != 0 {
		t.Errorf("%+v: %v", got, err)
	}
	for _, name := range []string{KubeAPIServer, Workload} {
		if got, err := b.Build(t.Context(), name); err == nil {
			t.Errorf("%s was found: %+v", name, got)
		}
	}
}

func TestMissingGoIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := New(t.Context(), t.Output())
	if err == nil || !strings.Contains(err.Error(), "install Go 1.26") {
		t.Errorf("%v", err)
	}
}

// The manifests come from the pinned modules with what the API server and Cluster API need.
func TestProviders(t *testing.T) {
	b, err := New(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	b.Cache = t.TempDir()
	providers, err := b.Providers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		Core:                {"name: clusters.cluster.x-k8s.io", "path: /convert"},
		KubeadmBootstrap:    {"cluster.x-k8s.io/v1beta2: v1beta2", "path: /convert"},
		KubeadmControlPlane: {"cluster.x-k8s.io/v1beta2: v1beta2", "path: /convert"},
		CAPX:                {"cluster.x-k8s.io/v1beta1: v1beta1", "format: hostname"},
	}
	for _, p := range providers {
		for _, text := range want[p.Name] {
			if !strings.Contains(string(p.CRDs), text) {
				t.Errorf("the CRDs of %s lack %q", p.Name, text)
			}
		}
		if !strings.Contains(string(p.Webhooks), "WebhookConfiguration") {
			t.Errorf("%s has no webhooks", p.Name)
		}
		delete(want, p.Name)
	}
	if len(want) > 0 {
		t.Errorf("nothing of %v", want)
	}
	again, err := b.Providers(t.Context())
	if err != nil || len(again) != len(providers) || string(again[0].CRDs) != string(providers[0].CRDs) {
		t.Errorf("the cache holds something else: %v", err)
	}
}
