package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestConnectionIsNotThrottled holds the operator and the commands against client-go's default of 5 requests a second,
// with which a fleet would take minutes to plan.
func TestConnectionIsNotThrottled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	const kubeconfig = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, namespace: clusters}}], clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]}`
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	config, namespace, err := (&connection{kubeconfig: path}).open()
	if err != nil {
		t.Fatal(err)
	}
	if config.QPS >= 0 {
		t.Errorf("QPS is %v, want a negative one: no limit of our own", config.QPS)
	}
	if namespace != "clusters" {
		t.Errorf("namespace %q, want that of the context", namespace)
	}
}
