package drift

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// TestContestedField shows that a field which one manager changes three times in ten minutes is left to it, that all
// other fields are still put back, and that the next revision ends it.
func TestContestedField(t *testing.T) {
	s := hand.NewScene(t, &shared, "contested")
	c := s.Small("contested-1")
	s.Declare(nil, c)
	s.InSync("contested-1")
	for i := range 2 {
		s.LoosenAs("tuner", "contested-1-workers", fmt.Sprintf("5%d%%", i))
		s.Tight("contested-1-workers")
		s.InSync("contested-1")
	}
	s.LoosenAs("tuner", "contested-1-workers", "52%")
	have := s.ClusterHas("contested-1", v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.ContestedReason, hand.Soon)
	contains(t, message(have, v1alpha1.InSyncCondition), "tuner", "unhealthyLessThanOrEqualTo", "contested-1-workers", "driftIgnore")
	s.LoosenAs("somebody-else", "contested-1-kcp", "60%")
	s.Said("contested-1", "DriftCorrected", "somebody-else changed it")
	if err := s.Looseness("contested-1-workers", "52%"); err != nil {
		t.Error("a contested field was put back:", err)
	}
	if d := s.Cluster("contested-1").Status.Drift; len(d) != 1 || d[0].Manager != "tuner" || d[0].Found != `"52%"` || d[0].Wanted != `"40%"` {
		t.Errorf("status.drift is %+v", d)
	}
	c.Workers = 2
	s.Change("the next revision", c)
	s.Tight("contested-1-workers")
	s.InSync("contested-1")
}

// TestMirrorEdit edits what the Fleet mirrored, by kubectl: it is reported and put back, and Cluster API's objects are
// not written.
func TestMirrorEdit(t *testing.T) {
	cases := map[string]struct{ kind, name, patch string }{
		"Pools":    {"nutanixclusterspec", "%s", `[{"op":"replace","path":"/spec/nodePools/0/replicas","value":9}]`},
		"Policy":   {"nutanixclusterspec", "%s", `[{"op":"replace","path":"/spec/deletionPolicy","value":"Delete"}]`},
		"Digest":   {"nutanixclusterspec", "%s", `[{"op":"replace","path":"/metadata/annotations/refract.dev~1accepted-digest","value":"sha256:00"}]`},
		"Revision": {"nutanixclusterspec", "%s", `[{"op":"replace","path":"/metadata/annotations/refract.dev~1revision","value":"main@sha1:0000000000"}]`},
		"FleetAndPools": {"nutanixclusterspec", "%s", `[{"op":"remove","path":"/metadata/annotations/refract.dev~1fleet"},
			{"op":"remove","path":"/metadata/annotations/refract.dev~1accepted-digest"},{"op":"replace","path":"/spec/nodePools/0/replicas","value":9}]`},
		"AnotherFleet": {"nutanixclusterspec", "%s", `[{"op":"replace","path":"/metadata/annotations/refract.dev~1fleet","value":"another"}]`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := "m-" + lower(name)
			s := hand.NewScene(t, &shared, "mirror-"+lower(name))
			s.Declare(nil, s.Small(cluster))
			s.InSync(cluster)
			s.Door.Shut() // nobody but the record knows what was accepted
			before := s.Cluster(cluster)
			written := versions(s, cluster)
			s.Kubectl("patch", c.kind, fmt.Sprintf(c.name, cluster), "--type=json", "-p", c.patch)
			s.Within(hand.Soon, "restored", func() error {
				now := s.Cluster(cluster)
				for _, stamp := range []string{v1alpha1.FleetAnnotation, v1alpha1.AcceptedDigestAnnotation, v1alpha1.RevisionAnnotation} {
					if now.Annotations[stamp] != before.Annotations[stamp] {
						return fmt.Errorf("%s is %q", stamp, now.Annotations[stamp])
					}
				}
				if now.Spec.NodePools[0].Replicas == nil || *now.Spec.NodePools[0].Replicas != 1 || now.Spec.DeletionPolicy != "Protect" {
					return fmt.Errorf("the spec is %+v", now.Spec)
				}
				return nil
			})
			s.Said(cluster, v1alpha1.MirrorEditedReason, "kubectl-patch", "Change it in Git instead")
			s.InSync(cluster)
			unchanged(t, s, cluster, written)
		})
	}
}

// TestReferenceEdit edits the mirrored account and profile: nothing is applied or distributed by them, and they are put
// back once Git can be read.
func TestReferenceEdit(t *testing.T) {
	cases := map[string]struct {
		kind, name, patch, path, value string
		apiKind                        string
	}{
		"Account": {
			kind: "cloudaccount", name: "pc-east", apiKind: "CloudAccount", patch: `{"spec":{"credentialsRef":{"name":"other-credentials"}}}`,
			path: "spec/credentialsRef/name", value: `"pc-east-credentials"`,
		},
		"Profile": {
			kind: "clusterprofile", name: "standard-1.0.0", apiKind: "ClusterProfile",
			patch: `[{"op":"replace","path":"/spec/layers/1/kubernetes/version","value":"v1.33.9"}]`,
			path:  "spec/layers/1/kubernetes/version", value: `"v1.33.4"`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := "r-" + lower(name)
			s := hand.NewScene(t, &shared, "reference-"+lower(name))
			s.Secret("other-credentials", map[string]string{"username": "mallory", "password": canary})
			s.Declare(nil, s.Small(cluster))
			s.InSync(cluster)
			s.Door.Shut()
			written := versions(s, cluster)
			credentials := s.Now("v1", "Secret", cluster+"-pc-credentials").GetResourceVersion()
			s.Kubectl("patch", c.kind, c.name, patchType(c.patch), "-p", c.patch)
			have := s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.MirrorEditedReason, hand.Soon)
			contains(t, message(have, v1alpha1.ReadyCondition), "changed by another hand", "in Git instead")
			s.LoosenAs("tuner", cluster+"-workers", "77%") // something to do, if anything were done
			s.Kubectl("annotate", "nutanixclusterspec", cluster, "reconcile.fluxcd.io/requestedAt=now")
			s.Within(hand.Soon, "the request is handled", func() error {
				if s.Cluster(cluster).Status.LastHandledReconcileAt != "now" {
					return fmt.Errorf("not yet")
				}
				return nil
			})
			if err := s.Looseness(cluster+"-workers", "77%"); err != nil {
				t.Error("something was applied from edited references:", err)
			}
			s.Push("unrelated", map[string]string{"README.md": "Clusters."})
			s.Door.Open()
			s.Until("restored", hand.Refract, c.apiKind, c.name, func(o hand.Live) error { return o.Is(c.path, c.value) })
			s.Tight(cluster + "-workers")
			s.InSync(cluster)
			unchanged(t, s, cluster, written)
			if now := s.Now("v1", "Secret", cluster+"-pc-credentials").GetResourceVersion(); now != credentials {
				t.Error("the cluster's credentials were written")
			}
			// Accepted again at a later revision, the mirror still shows its own, and can be restored to it.
			s.Door.Shut()
			s.Kubectl("patch", "nutanixclusterspec", cluster, "--type=json", "-p", `[{"op":"replace","path":"/spec/nodePools/0/replicas","value":9}]`)
			s.Said(cluster, v1alpha1.MirrorEditedReason, "kubectl-patch")
			s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ProgressingReason, hand.Soon)
			unchanged(t, s, cluster, written)
		})
	}
}

// canary is a password that must be seen nowhere.
const canary = "canary-4f1d"

func patchType(patch string) string {
	if patch[0] == '[' {
		return "--type=json"
	}
	return "--type=merge"
}

// versions are the generations of what moves machines.
func versions(s *hand.Scene, cluster string) map[string]int64 {
	all := map[string]int64{}
	for _, k := range [][2]string{
		{hand.Core, "Cluster"},
		{hand.Core, "MachineDeployment"},
		{hand.ControlPlane, "KubeadmControlPlane"},
		{hand.Infra, "NutanixCluster"},
		{hand.Infra, "NutanixMachineTemplate"},
		{hand.Bootstrap, "KubeadmConfigTemplate"},
	} {
		for _, o := range s.Objects(k[0], k[1], cluster) {
			all[k[1]+"/"+o.GetName()] = o.GetGeneration()
		}
	}
	return all
}

func unchanged(t *testing.T, s *hand.Scene, cluster string, before map[string]int64) {
	t.Helper()
	now := versions(s, cluster)
	if len(before) < 7 || fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("generations were %v and are %v", before, now)
	}
}

// TestWatchNotInterval shows that a hand edit is undone by watch: the interval is a day and Git is away, and in one case
// the operator was down when it happened.
func TestWatchNotInterval(t *testing.T) {
	s := hand.NewScene(t, &shared, "watch")
	s.Declare(func(f *v1alpha1.Fleet) { f.Spec.Interval = metav1.Duration{Duration: 24 * time.Hour} }, s.Small("watch-1"))
	s.InSync("watch-1")
	s.Door.Shut()
	s.Git.Close()
	s.LoosenAs("one", "watch-1-workers", "51%")
	s.Tight("watch-1-workers")
	s.InSync("watch-1")
	s.Restart(func() { s.LoosenAs("two", "watch-1-workers", "52%") })
	s.Tight("watch-1-workers")
	s.Said("watch-1", "DriftCorrected", "two changed it")
	s.Restart(nil)
	s.LoosenAs("three", "watch-1-workers", "53%")
	s.Tight("watch-1-workers")
	s.Said("watch-1", "DriftCorrected", "three changed it")
}
