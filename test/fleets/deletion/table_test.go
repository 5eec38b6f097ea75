package deletion

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// wide lets half of a Fleet vanish without a word; deletions need one all the same.
func wide(f *v1alpha1.Fleet) { f.Spec.Limits.PrunedPercent = ptr.To[int32](100) }

func gone(s *fleets.Stage, c rig.Cluster) func() error {
	return func() error {
		if have := s.Cluster(c.Name); have != nil {
			return fmt.Errorf("the mirror is there: %+v; %s", have.Status.Conditions, s.Says(fleets.Production))
		}
		return nil
	}
}

func nothingLeft(s *fleets.Stage, c rig.Cluster) func() error {
	return func() error {
		if err := gone(s, c)(); err != nil {
			return err
		}
		for name := range s.Inventory(c.Name) {
			return fmt.Errorf("%s is left", name)
		}
		return nil
	}
}

func TestFileGoneProtect(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Launch(nil, edge)
	before := s.Cluster(edge.Name)
	kept := s.Inventory(edge.Name)

	s.Commit("remove it", map[string]string{fleets.File(edge): ""})
	s.Refused(edge.Name, v1alpha1.FileRemovedReason, "Protect", "Put the file back")
	after := s.Cluster(edge.Name)
	if after.UID != before.UID || after.Generation != before.Generation {
		t.Error("the mirror changed")
	}
	s.Same(kept, s.Inventory(edge.Name))
	s.PutBack(edge.Name)
	s.Kstatus(edge)

	edge.Workers = 2
	s.Push("put it back", map[string]string{fleets.File(edge): edge.File()})
	s.Accepted(edge)
	if s.Cluster(edge.Name).UID != before.UID {
		t.Error("not attached to the same mirror")
	}
	s.Ready(fleets.Production)
}

func TestFileGoneOrphan(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	edge.DeletionPolicy = "Orphan"
	s.Launch(wide, edge)
	before := map[string]map[string]any{}
	for name, o := range objects(s, edge.Name) {
		before[name] = content(o)
	}

	s.Push("let it go", map[string]string{fleets.File(edge): ""})
	s.Within(fleets.Soon, "the mirror is gone", gone(s, edge))
	after := objects(s, edge.Name)
	if len(after) == 0 {
		t.Fatal("nothing is left")
	}
	for name, was := range before {
		o, ok := after[name]
		if !ok {
			t.Errorf("%s is gone", name)
			continue
		}
		if is := content(o); fmt.Sprint(is) != fmt.Sprint(was) {
			t.Errorf("%s: fields went from %v to %v", name, was, is)
		}
		for _, key := range append(keys(o.GetLabels()), keys(o.GetAnnotations())...) {
			if strings.HasPrefix(key, v1alpha1.MetadataDomain+"/") {
				t.Errorf("%s still has %s", name, key)
			}
		}
		for _, e := range o.GetManagedFields() {
			if e.Manager == v1alpha1.FieldManager && e.Operation == metav1.ManagedFieldsOperationApply {
				t.Errorf("%s still has our entry", name)
			}
		}
	}
	s.Ready(fleets.Production)
	s.Edit(s.Object(fleets.Core, "MachineHealthCheck", edge.Name+"-kcp"), `{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"77%"}}}}`)

	// What was let go of is not ours: the same file does not take it over without saying so.
	commit := s.Push("again", map[string]string{fleets.File(edge): edge.File()})
	s.Handled(fleets.Production, commit, fleets.Soon)
	s.Fails(fleets.Production, v1alpha1.ClustersHeldReason, "adopt")
}

func objects(s *fleets.Stage, cluster string) map[string]*unstructured.Unstructured {
	all := map[string]*unstructured.Unstructured{}
	for _, k := range [][2]string{
		{fleets.Core, "Cluster"},
		{fleets.Core, "MachineDeployment"},
		{fleets.Core, "MachineHealthCheck"},
		{fleets.ControlPlane, "KubeadmControlPlane"},
		{fleets.Infrastructure, "NutanixCluster"},
		{fleets.Infrastructure, "NutanixMachineTemplate"},
	} {
		for _, o := range s.Objects(k[0], k[1], cluster) {
			all[k[1]+"/"+o.GetName()] = &o
		}
	}
	return all
}

// content is an object without its metadata.
func content(o *unstructured.Unstructured) map[string]any {
	out := o.DeepCopy().Object
	delete(out, "metadata")
	return out
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestFileGoneDelete(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		approve func(*fleets.Stage, string)
	}{
		"ApprovedOnTheFleet": {func(s *fleets.Stage, digest string) {
			if err := s.Approve(s.Fleet(fleets.Production), digest); err != nil {
				s.T.Fatal(err)
			}
		}},
		"ApprovedByTrailer": {func(s *fleets.Stage, digest string) {
			s.Push("go on\n\nRefract-Approve: "+digest, nil)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
			s.Launch(wide, edge, other)
			kept := s.Inventory(other.Name)

			edge.DeletionPolicy = "Delete"
			s.Commit("it may be deleted", map[string]string{fleets.File(edge): edge.File()})
			s.Accepted(edge)
			s.Commit("remove it", map[string]string{fleets.File(edge): ""})
			held := s.Refused(edge.Name, v1alpha1.LimitExceededReason, "deletedClusters", "Refract-Approve: sha256:")
			f := s.Fails(fleets.Production, v1alpha1.ClustersHeldReason, edge.Name)
			if f.Status.Plan.Digest == "" || f.Status.Plan.Severity != v1alpha1.SeverityDestroy {
				t.Errorf("the Fleet holds %+v", f.Status.Plan)
			}
			if s.Object(fleets.Core, "Cluster", edge.Name) == nil {
				t.Fatal("deleted without a word")
			}
			s.Kstatus(edge, other)

			c.approve(s, f.Status.Plan.Digest)
			s.Within(fleets.Soon, "nothing is left", nothingLeft(s, edge))
			s.Ready(fleets.Production)
			s.Same(kept, s.Inventory(other.Name))
			s.Within(fleets.Soon, "the approval is spent", func() error {
				if f := s.Fleet(fleets.Production); f.Annotations[v1alpha1.ApprovedPlanAnnotation] != "" || f.Status.Plan.Digest != "" {
					return fmt.Errorf("it is there: %v, plan %+v", f.Annotations, f.Status.Plan)
				}
				return nil
			})

			// One word, one deletion.
			s.Commit("again", map[string]string{fleets.File(edge): edge.File()})
			s.Accepted(edge)
			s.Commit("remove it again", map[string]string{fleets.File(edge): ""})
			again := s.Refused(edge.Name, v1alpha1.LimitExceededReason, "deletedClusters")
			if again.UID == held.UID {
				t.Error("the mirror was never deleted")
			}
		})
	}
}

// TestSourceChanged points the Fleet somewhere that does not declare its clusters: kept, whatever their policy.
func TestSourceChanged(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*fleets.Stage, *v1alpha1.Fleet){
		"Path": func(_ *fleets.Stage, f *v1alpha1.Fleet) { f.Spec.Git.Path = "./other" },
		"URL":  func(s *fleets.Stage, f *v1alpha1.Fleet) { f.Spec.Git.URL, f.Spec.Git.Path = s.URL()+"/", "./other" },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
			edge.DeletionPolicy, other.DeletionPolicy = "Delete", "Orphan"
			s.Launch(func(f *v1alpha1.Fleet) {
				f.Spec.Limits = v1alpha1.Limits{DeletedClusters: ptr.To[int32](10), PrunedPercent: ptr.To[int32](100)}
			}, edge, other)
			kept, also := s.Inventory(edge.Name), s.Inventory(other.Name)
			s.Push("another place", map[string]string{"other/account.yaml": rig.Account("pc-east", s.Prism)})
			f := s.Fleet(fleets.Production)
			before := f.DeepCopy()
			change(s, f)
			if err := s.Client.Patch(t.Context(), f, client.MergeFrom(before)); err != nil {
				t.Fatal(err)
			}
			s.Refused(edge.Name, v1alpha1.FileRemovedReason, "url or path changed")
			s.Refused(other.Name, v1alpha1.FileRemovedReason, "url or path changed")
			s.Same(kept, s.Inventory(edge.Name))
			s.Same(also, s.Inventory(other.Name))

			// A new file in the new place that removes nothing later than it was there once.
			s.Push("declared there, too", map[string]string{
				"other/profile.yaml": rig.Profile("1.0.0", "v1.33.4"), "other/edge-01.yaml": edge.File(), "other/edge-02.yaml": other.File(),
			})
			s.Accepted(edge, other)
			s.Same(kept, s.Inventory(edge.Name))
		})
	}
}

func TestNamespaceAndCRDsAreGuarded(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Launch(nil, edge)
	s.Within(fleets.Soon, "the namespace is protected", func() error {
		if s.Namespaced().Labels[v1alpha1.ProtectLabel] != "true" {
			return fmt.Errorf("labels %v", s.Namespaced().Labels)
		}
		return nil
	})
	for name, o := range map[string]client.Object{
		"Namespace": &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}},
		"CRD":       &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "nutanixclusterspecs.refract.dev"}},
		"Cluster":   s.Object(fleets.Core, "Cluster", edge.Name),
	} {
		err := s.Client.Delete(t.Context(), o, client.DryRunAll)
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "protected by Refract") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClusterRenamed(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	s.Launch(nil, edge, other)
	kept := s.Inventory(edge.Name)
	renamed := edge
	renamed.Name = "edge-09"
	s.Push("a new name", map[string]string{fleets.File(edge): "", fleets.File(renamed): renamed.File()})
	s.Refused(edge.Name, v1alpha1.FileRemovedReason)
	f := s.Fails(fleets.Production, v1alpha1.ClustersHeldReason, renamed.Name, edge.Endpoint)
	if len(f.Status.Failures) != 1 || f.Status.Failures[0].File != fleets.File(renamed) || f.Status.Failures[0].Line != 1 {
		t.Errorf("failures %+v", f.Status.Failures)
	}
	if s.Cluster(renamed.Name) != nil || s.Object(fleets.Core, "Cluster", renamed.Name) != nil {
		t.Error("the newcomer was made")
	}
	s.Same(kept, s.Inventory(edge.Name))
	s.Kstatus(edge, other)
}

func TestFleetDeleted(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	edge.DeletionPolicy = "Delete"
	s.Launch(nil, edge)
	before, kept := s.Cluster(edge.Name), s.Inventory(edge.Name)
	s.Remove(s.Fleet(fleets.Production))
	s.Sourced(edge.Name, metav1.ConditionUnknown, v1alpha1.FleetGoneReason, fleets.Production)
	s.Same(kept, s.Inventory(edge.Name))
	s.PutBack(edge.Name)
	kept = s.Inventory(edge.Name)

	s.Start("successor", nil)
	s.Accepted(edge)
	after := s.Cluster(edge.Name)
	if after.UID != before.UID || after.Annotations[v1alpha1.FleetAnnotation] != "successor" {
		t.Errorf("not picked up: %v", after.Annotations)
	}
	s.Ready("successor")
	s.Same(kept, s.Inventory(edge.Name))
}
