package world

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const ourCRDs = "../../config/crd/bases"

// The small world: an API server with CRDs, for tests of schemas and of writes without controllers.
func TestAPIServerAlone(t *testing.T) {
	ctx := t.Context()
	begin := time.Now()
	w, err := Start(ctx, Options{Out: t.Output(), CRDDirs: []string{ourCRDs}, ProviderCRDs: true, AuditPolicy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %s", time.Since(begin).Round(time.Millisecond))
	dir := w.Dir()
	t.Cleanup(func() {
		stop(t, w)
		if _, missing := os.Stat(dir); !os.IsNotExist(missing) {
			t.Errorf("the temporary directory is still there: %v", missing)
		}
	})
	admin, err := client.New(w.REST, client.Options{})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("OurKindsAreServed", func(t *testing.T) {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion("refract.dev/v1alpha1")
		list.SetKind("FleetList")
		if err := admin.List(ctx, list); err != nil {
			t.Error(err)
		}
	})
	t.Run("UsersNeedRoles", func(t *testing.T) {
		cfg, err := w.User("alice", "viewers")
		if err != nil {
			t.Fatal(err)
		}
		alice, err := client.New(cfg, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := alice.List(ctx, &corev1.SecretList{}); !apierrors.IsForbidden(err) {
			t.Errorf("alice may list Secrets: %v", err)
		}
		if err := w.Apply(ctx, []byte(viewSecrets)); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, func() error { return alice.List(ctx, &corev1.SecretList{}) }); err != nil {
			t.Errorf("the role does not help: %v", err)
		}
	})
	t.Run("AuditLogNamesUsers", func(t *testing.T) {
		if err := eventually(ctx, func() error {
			log, err := os.ReadFile(w.AuditLog())
			if err == nil && !strings.Contains(string(log), `"username":"alice"`) {
				return os.ErrNotExist
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	t.Run("EndpointsAreDistinctLoopback", func(t *testing.T) {
		a, b := w.Endpoint(), w.Endpoint()
		if a == b || !net.ParseIP(a).IsLoopback() || !net.ParseIP(b).IsLoopback() {
			t.Errorf("%s and %s", a, b)
		}
	})
	t.Run("ContractLabelsAndAnyOf", func(t *testing.T) {
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		if err := admin.Get(ctx, client.ObjectKey{Name: "nutanixclusters.infrastructure.cluster.x-k8s.io"}, crd); err != nil {
			t.Fatal(err)
		}
		if crd.GetLabels()["cluster.x-k8s.io/v1beta1"] != "v1beta1" {
			t.Errorf("no contract label: %v", crd.GetLabels())
		}
	})
}

func stop(t *testing.T, w *World) {
	t.Helper()
	if err := w.Stop(); err != nil {
		t.Error(err)
	}
}

// Worlds run side by side, so that test packages may.
func TestWorldsDoNotCollide(t *testing.T) {
	first, err := takeAddresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer first.release()
	second, err := takeAddresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.prefix == second.prefix {
		t.Errorf("both worlds have %s", first.prefix)
	}
	taken := second.prefix
	second.release()
	third, err := takeAddresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer third.release()
	if third.prefix != taken {
		t.Errorf("%s was given back, but %s was taken", taken, third.prefix)
	}
	for range lastEndpoint - firstEndpoint + 1 {
		if _, err := third.endpoint(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := third.endpoint(); err == nil {
		t.Error("an address was handed out twice")
	}
}

// A program that ends instead of getting ready is an error with the end of its log.
func TestFailedProgramShowsItsLog(t *testing.T) {
	p, err := launch(t.TempDir(), command{
		name: "sh", path: "/bin/sh", args: []string{"-c", "echo no such flag; exit 3"},
		ready: func(context.Context) error { return errors.New("connection refused") },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "no such flag") || !strings.Contains(err.Error(), "sh: it ended") {
		t.Errorf("the error does not help: %v", err)
	}
}

func eventually(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

const viewSecrets = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: secret-viewer}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: secret-viewer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: viewers}]
`
