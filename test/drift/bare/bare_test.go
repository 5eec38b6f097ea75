// Package bare shows what the operator does on a management cluster that is not one yet.
package bare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{AuditPolicy: true, Manifests: hand.Policies()}, controllers.Options{}))
}

// TestWithoutClusterAPI starts the operator where there is no Cluster API: every object says so, nothing crashes, and
// it goes on by itself once the CRDs are installed. A Cluster with a topology is refused then.
func TestWithoutClusterAPI(t *testing.T) {
	s := hand.NewScene(t, &shared, "bare")
	c := s.Small("bare-1")
	s.Declare(nil, c)
	alone := s.Small("bare-2")
	alone.Account = "pc-west"
	s.Secret("pc-west-credentials", map[string]string{"username": "west", "password": "canary-77aa"})
	s.Apply(rig.Account("pc-west", "127.0.0.9") + "---\n" + alone.File())

	f := s.FleetHas("production", v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.UnsupportedReason, hand.Soon)
	says(t, f, "Cluster API", "CAPX", "install")
	have := s.ClusterHas("bare-2", v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.UnsupportedReason, hand.Soon)
	says(t, have, "Cluster API", "CAPX", "install")
	s.Within(hand.Soon, "the account says so, too", func() error {
		a := &v1alpha1.CloudAccount{}
		if err := s.Client.Get(t.Context(), s.Key("pc-west"), a); err != nil {
			return err
		}
		return rig.Has(a, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.UnsupportedReason)
	})
	s.KStatus(
		&v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "production"}},
		&v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: "bare-2"}},
		&v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Name: "pc-west"}},
	)

	install(t, s)
	s.Apply(fmt.Sprintf(`
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: bare-3, namespace: %s}
spec: {topology: {classRef: {name: quick-start}, version: v1.33.4}}
`, s.Namespace))
	// Looked at again after half a minute. Without its webhooks Cluster API does not default what it demands: that the API
	// server is asked, and its words shown, is going on.
	s.Within(4*hand.Soon, "the fleet goes on", func() error {
		for _, f := range s.Fleet("production").Status.Failures {
			if strings.Contains(f.Message, "MachineDeployment/bare-1-workers: the API server refuses it") {
				return nil
			}
		}
		return fmt.Errorf("%+v", s.Fleet("production").Status)
	})
	s.Within(4*hand.Soon, "the account goes on, and finds nobody at home", func() error {
		a := &v1alpha1.CloudAccount{}
		if err := s.Client.Get(t.Context(), s.Key("pc-west"), a); err != nil {
			return err
		}
		return rig.Has(a, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.PrismUnreachableReason)
	})
	if s.Object("v1", "Secret", "bare-2-pc-credentials") != nil {
		t.Error("credentials were given out that nobody proved")
	}

	was := s.Now(hand.Core, "Cluster", "bare-3").GetResourceVersion()
	topology := s.Small("bare-3")
	topology.Account, topology.Extra = "pc-west", "  adopt: true\n"
	s.Apply(rig.Profile("1.0.0", "v1.33.4") + "---\n" + topology.File())
	have = s.ClusterHas("bare-3", v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.UnsupportedReason, hand.Soon)
	says(t, have, "spec.topology", "ClusterClass")
	if now := s.Now(hand.Core, "Cluster", "bare-3").GetResourceVersion(); now != was {
		t.Error("a Cluster with a topology was written")
	}
}

// install installs the CRDs of Cluster API and CAPX as a user would, late.
func install(t *testing.T, s *hand.Scene) {
	t.Helper()
	builder, err := controlplane.New(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	providers, err := builder.Providers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range providers {
		file := filepath.Join(t.TempDir(), "crds.yaml")
		var docs []string
		for text := range strings.SplitSeq(string(p.CRDs), "\n---\n") {
			o := unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
				t.Fatal(err)
			}
			unstructured.RemoveNestedField(o.Object, "spec", "conversion") // its webhook does not run here
			doc, err := o.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, string(doc))
		}
		if err := os.WriteFile(file, []byte(strings.Join(docs, "\n---\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Kubectl("apply", "--server-side", "-f", file)
	}
}

func says(t *testing.T, o rig.Conditioned, words ...string) {
	t.Helper()
	have := meta.FindStatusCondition(o.GetConditions(), v1alpha1.ReadyCondition)
	for _, w := range words {
		if !strings.Contains(have.Message, w) {
			t.Errorf("%q lacks %q", have.Message, w)
		}
	}
}
