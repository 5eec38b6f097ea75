package e2e

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/rig"
)

// addon is a layer for bring-up, a profile of its own.
const addon = `apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: welcome-1.0.0}
spec:
  profile: welcome
  version: 1.0.0
  type: AddOn
  layers:
    - {name: welcome, type: AddOn, manifests: {paths: [../layers/welcome.yaml]}}
`

const welcome = `apiVersion: v1
kind: ConfigMap
metadata: {name: welcome, namespace: default}
data: {hello: world}
`

// wide has what the cluster of TestLife has not: failure domains and a layer for bring-up.
const wide = `  failureDomains:
    - {name: rack-a, prismElement: {name: PE-1}, subnets: [{name: vlan-101}]}
`

// refusal turns back the creation of one Cluster, but not a dry run: it stays away while the rest of it is applied.
const refusal = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-wide-02}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [cluster.x-k8s.io], apiVersions: ["*"], operations: [CREATE], resources: [clusters]}
  validations:
    - {expression: "request.dryRun == true || object.metadata.name != 'wide-02'", message: "not this one"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-wide-02}
spec: {policyName: no-wide-02, validationActions: [Deny]}
`

// TestWide leads small clusters through what TestLife does not use: every kind that may be rendered, mirrors that are
// edited by hand, a cluster whose Cluster never came, an account and a profile that leave Git, and a Fleet with an
// account of its own.
func TestWide(t *testing.T) {
	s := shared.NewScene(t, "wide")
	if err := s.World.Apply(t.Context(), []byte(refusal)); err != nil {
		t.Fatal(err)
	}
	file := rig.Cluster{Name: "wide-01", Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: 0, DeletionPolicy: "Delete", Extra: wide}
	other := rig.Cluster{Name: "wide-02", Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: 0, DeletionPolicy: "Delete"}
	s.Push("clusters of every kind", map[string]string{
		"fleet/account.yaml":  rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml":  rig.Profile("1.0.0", "v1.33.4"),
		"fleet/addon.yaml":    addon,
		"layers/welcome.yaml": welcome,
		"fleet/wide-01.yaml":  strings.Replace(file.File(), "  controlPlane:\n", "    - {name: welcome, version: 1.0.0}\n  controlPlane:\n    failureDomains: [rack-a]\n", 1),
		"fleet/wide-02.yaml":  other.File(),
	})
	s.NewFleet("production", nil)
	s.ClusterHas("wide-02", v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ApplyFailedReason, time.Minute)
	s.ClusterHas("wide-01", v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)

	for _, m := range []struct{ kind, name, patch string }{
		{v1alpha1.NutanixClusterSpecKind, "wide-01", `{"spec":{"deletionPolicy":"Orphan"}}`},
		{v1alpha1.CloudAccountKind, "pc-east", `{"spec":{"endpoint":{"port":9441}}}`},
		{v1alpha1.ClusterProfileKind, "standard-1.0.0", `{"spec":{"type":"Infra"}}`},
	} {
		before := s.Object(v1alpha1.GroupVersion.String(), m.kind, m.name)
		if err := s.Client.Patch(t.Context(), before.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(m.patch))); err != nil {
			t.Fatal(err)
		}
		s.Within(time.Minute, m.kind+" is restored", func() error {
			if now := s.Object(v1alpha1.GroupVersion.String(), m.kind, m.name); !equality.Semantic.DeepEqual(now.Object["spec"], before.Object["spec"]) {
				return fmt.Errorf("%v", now.Object["spec"])
			}
			return nil
		})
	}

	s.Push("another fleet", map[string]string{
		"other/account.yaml": rig.Account("pc-west", s.World.Prism.Host),
		"other/profile.yaml": strings.ReplaceAll(rig.Profile("2.0.0", "v1.33.4"), "standard", "west"),
		"other/west-01.yaml": strings.ReplaceAll(rig.Cluster{Name: "west-01", Account: "pc-west", Profile: "2.0.0", Endpoint: s.World.Endpoint(), ControlPlanes: 1}.File(), "standard", "west"),
	})
	s.NewFleet("limited", func(f *v1alpha1.Fleet) { f.Spec.ServiceAccountName, f.Spec.Git.Path = "deployer", "./other" })
	s.Within(time.Minute, "an account without rights is refused", func() error {
		ready := find(s.Fleet("limited"), v1alpha1.ReadyCondition)
		if !strings.Contains(ready, "system:serviceaccount:wide:deployer") {
			return errors.New(ready)
		}
		return nil
	})

	s.Push("everything goes", map[string]string{
		"fleet/wide-01.yaml": "", "fleet/wide-02.yaml": "", "fleet/account.yaml": "", "fleet/profile.yaml": "", "fleet/addon.yaml": "",
		"fleet/empty.yaml": "# on purpose\n",
	})
	held := s.Fleet("production")
	s.Within(time.Minute, "the deletion is held", func() error {
		if held = s.Fleet("production"); held.Status.Plan.Digest == "" {
			return fmt.Errorf("%+v", held.Status)
		}
		return nil
	})
	if err := s.Approve(held, held.Status.Plan.Digest); err != nil {
		t.Fatal(err)
	}
	s.Within(patience, "clusters, account and profiles are gone", func() error {
		for _, kind := range []string{v1alpha1.NutanixClusterSpecKind, v1alpha1.CloudAccountKind, v1alpha1.ClusterProfileKind} {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
			if err := s.Client.List(t.Context(), list, client.InNamespace(s.Namespace)); err != nil || len(list.Items) > 0 {
				return fmt.Errorf("%d of kind %s: %w", len(list.Items), kind, err)
			}
		}
		for kind, apiVersion := range map[string]string{"KubeadmControlPlane": "controlplane.cluster.x-k8s.io/v1beta2", "NutanixCluster": "infrastructure.cluster.x-k8s.io/v1beta1"} {
			if s.Object(apiVersion, kind, "wide-02") != nil || s.Object(apiVersion, kind, "wide-02-kcp") != nil {
				return fmt.Errorf("%s of wide-02 is there", kind)
			}
		}
		return nil
	})
}

func find(f *v1alpha1.Fleet, condition string) string {
	for _, c := range f.Status.Conditions {
		if c.Type == condition {
			return c.Message
		}
	}
	return "no " + condition
}

// TestRights compares what the tests above asked of the API server with the chart's rules: no right is missing, and none
// is there for nothing. It is the last of this package.
func TestRights(t *testing.T) {
	if flag.Lookup("test.run").Value.String() != "" {
		t.Skip("needs every other test of this package")
	}
	granted, err := release.Granted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	used, refused, err := release.Used()
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range refused {
		t.Errorf("the operator was refused: %s", request)
	}
	for _, right := range slices.Sorted(maps.Keys(granted)) {
		if !used[right] && !slices.Contains(install.ForReviews(), right) { // test/review uses those
			t.Errorf("the chart grants %q, and nothing uses it", right)
		}
		if strings.Contains(right, "*") {
			t.Errorf("the chart grants %q", right)
		}
	}
	for _, right := range slices.Sorted(maps.Keys(used)) {
		if !granted[right] {
			t.Errorf("the operator asked for %q, which the chart does not grant", right)
		}
	}
}
