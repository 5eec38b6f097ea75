package fleets

import (
	"encoding/json"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions/check"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

// kinds of an inventory.
var kinds = [][2]string{
	{Core, "Cluster"},
	{Core, "MachineDeployment"},
	{Core, "MachineHealthCheck"},
	{ControlPlane, "KubeadmControlPlane"},
	{"bootstrap.cluster.x-k8s.io/v1beta2", "KubeadmConfigTemplate"},
	{"addons.cluster.x-k8s.io/v1beta2", "ClusterResourceSet"},
	{Infrastructure, "NutanixCluster"},
	{Infrastructure, "NutanixMachineTemplate"},
	{"v1", "Secret"},
	{"v1", "ConfigMap"},
}

// Inventory is the JSON of every object that Cluster API counts to a cluster, by kind and name, to the byte.
func (s *Stage) Inventory(cluster string) map[string]string {
	s.T.Helper()
	all := map[string]string{}
	for _, k := range kinds {
		for _, o := range s.Objects(k[0], k[1], cluster) {
			raw, err := json.Marshal(o.Object)
			if err != nil {
				s.T.Fatal(err)
			}
			all[k[1]+"/"+o.GetName()] = string(raw)
		}
	}
	return all
}

// Same fails unless two inventories are equal.
func (s *Stage) Same(before, after map[string]string) {
	s.T.Helper()
	for name, was := range before {
		if is, ok := after[name]; !ok {
			s.T.Errorf("%s is gone", name)
		} else if is != was {
			s.T.Errorf("%s changed\nfrom %s\nto   %s", name, was, is)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			s.T.Errorf("%s is new", name)
		}
	}
}

// Patch merges JSON into an object of the namespace as another hand.
func (s *Stage) Patch(o client.Object, body string) error {
	return s.Client.Patch(s.T.Context(), o, client.RawPatch(types.MergePatchType, []byte(body)), client.FieldOwner("somebody"))
}

// Edit is Patch, and fails the test when it is refused.
func (s *Stage) Edit(o client.Object, body string) {
	s.T.Helper()
	if err := s.Patch(o, body); err != nil {
		s.T.Fatal(err)
	}
}

// Remove deletes an object.
func (s *Stage) Remove(o client.Object) {
	s.T.Helper()
	if err := s.Client.Delete(s.T.Context(), o); err != nil {
		s.T.Fatal(err)
	}
}

// Namespaced reads the namespace.
func (s *Stage) Namespaced() *corev1.Namespace {
	s.T.Helper()
	ns := &corev1.Namespace{}
	if err := s.Client.Get(s.T.Context(), client.ObjectKey{Name: s.Namespace}, ns); err != nil {
		s.T.Fatal(err)
	}
	return ns
}

// PutBack edits the health check of a cluster's control plane and waits until that is undone.
func (s *Stage) PutBack(cluster string) {
	s.T.Helper()
	read := func() (*unstructured.Unstructured, string) {
		o := s.Object(Core, "MachineHealthCheck", cluster+"-kcp")
		if o == nil {
			s.T.Fatal("there is no MachineHealthCheck")
		}
		return o, o.GetLabels()["example.com/edited"] + fmt.Sprint(o.Object["spec"])
	}
	o, wanted := read()
	s.Edit(o, `{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"77%"}}}}`)
	if _, now := read(); now == wanted {
		s.T.Fatal("the edit changed nothing")
	}
	s.Within(Soon, "an edit of "+o.GetName()+" is put back", func() error {
		if _, now := read(); now != wanted {
			return fmt.Errorf("it is %s, want %s", now, wanted)
		}
		return nil
	})
}

// Kstatus checks a Fleet and clusters by the rules of kstatus.
func (s *Stage) Kstatus(clusters ...rig.Cluster) {
	s.T.Helper()
	conditions := &check.Conditions{NegativePolarity: []string{v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition}}
	s.Within(Soon, "kstatus holds", func() error {
		if f := s.Fleet(Production); f != nil {
			if err := checkOne(s, f, conditions); err != nil {
				return err
			}
		}
		for _, c := range clusters {
			if have := s.Cluster(c.Name); have != nil {
				if err := checkOne(s, have, conditions); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type conditioned interface {
	client.Object
	rig.Conditioned
}

func checkOne(s *Stage, o conditioned, conditions *check.Conditions) error {
	checker := check.NewChecker(s.Client, conditions)
	if meta.IsStatusConditionTrue(o.GetConditions(), v1alpha1.ReconcilingCondition) {
		checker = check.NewInProgressChecker(s.Client)
	}
	checker.DisableFetch = true
	if fail, _ := checker.Check(s.T.Context(), o); fail != nil {
		return fmt.Errorf("%s: %w", o.GetName(), fail)
	}
	return nil
}
