package kube

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/render/plan"
)

// Where Cluster API would rather leave a machine alone, nothing is known; what goes anyway is not judged. That verdicts
// come true is held against the real Cluster API in TestVerdictsComeTrue.
func TestVerdictsThatAreNotToBeHad(t *testing.T) {
	now := metav1.Now()
	joining := machine("joining", "kcp")
	joining.DeletionTimestamp, joining.Spec.Version = &now, "v1.35.0"
	going := machine("going", "kcp")
	going.DeletionTimestamp, going.Spec.Version = &now, "v1.33.1"
	m := machinery{machines: []*clusterv1.Machine{machine("b", "kcp"), machine("a", "kcp"), going, joining}}
	m.machines[0].Status.NodeRef.Name = "b"
	for _, one := range m.machines {
		one.Spec.InfrastructureRef = clusterv1.ContractVersionedObjectReference{Kind: "NutanixMachine", Name: one.Name}
		one.Spec.Bootstrap.ConfigRef.Name = one.Name
	}
	m.infra = []*unstructured.Unstructured{fromYAML(t, "kind: NutanixMachine\nmetadata: {name: a}")}
	kcp := fromYAML(t, "kind: KubeadmControlPlane\nmetadata: {name: c-kcp, uid: kcp}\nspec: {version: v1.34.1}")
	unknown := func(machine, reason string) plan.Verdict {
		return plan.Verdict{Machine: machine, Outcome: plan.Unknown, Reasons: []string{reason}}
	}
	cases := map[string]struct {
		pair plan.Pair
		want []plan.Verdict
	}{
		"APartOfTheMachineIsMissing": {
			pair: plan.Pair{DryRun: kcp},
			want: []plan.Verdict{
				unknown("a", `KubeadmConfig "a" of Machine a is missing`), unknown("b", "NutanixMachine b of Machine b is missing"),
			},
		},
		"TheWantedObjectIsRefused": {
			pair: plan.Pair{Refused: "no"},
			want: []plan.Verdict{
				unknown("a", "not asked: the API server refuses the object"), unknown("b", "not asked: the API server refuses the object"),
			},
		},
		"NotOurs": {
			pair: plan.Pair{Foreign: []string{"somebody"}},
			want: []plan.Verdict{unknown("a", "not asked: the object is not ours"), unknown("b", "not asked: the object is not ours")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.pair.Want, tc.pair.Live = kcp, kcp
			pairs := []plan.Pair{tc.pair}
			if err := (Cluster{Namespace: "ns", Name: "c"}).judge(t.Context(), pairs, m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, pairs[0].Machines, cmpopts.IgnoreFields(plan.Verdict{}, "Already")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if pairs[0].OldestVersion != "v1.33.1" {
				t.Errorf("the oldest version is %s, that of a machine that still goes", pairs[0].OldestVersion)
			}
			if pairs[0].NewestVersion != "v1.34.1" {
				t.Errorf("the newest version is %s, but only b has joined", pairs[0].NewestVersion)
			}
			if slices.ContainsFunc(pairs[0].Machines, func(v plan.Verdict) bool { return v.Already != (tc.pair.DryRun != nil) }) {
				t.Errorf("%+v: what is not known of the live objects either is no news", pairs[0].Machines)
			}
		})
	}
}
