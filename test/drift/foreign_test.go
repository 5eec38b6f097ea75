package drift

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// TestForeignObject shows that an object of a wanted name that is not ours holds the cluster, naming the object and its
// managers, and is not written by one byte, until a commit says spec.adopt.
func TestForeignObject(t *testing.T) {
	cases := map[string]struct{ apiVersion, kind, suffix, object string }{
		"Pool": {hand.Core, "MachineDeployment", "-workers", `
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineDeployment
metadata: {name: %[1]s-workers, namespace: %[2]s}
spec:
  clusterName: %[1]s
  replicas: 1
  selector: {matchLabels: {pool: mine}}
  template:
    metadata: {labels: {pool: mine}}
    spec:
      clusterName: %[1]s
      version: v1.33.4
      bootstrap: {configRef: {apiGroup: bootstrap.cluster.x-k8s.io, kind: KubeadmConfigTemplate, name: mine}}
      infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixMachineTemplate, name: mine}
`},
		"HealthCheck": {hand.Core, "MachineHealthCheck", "-workers", `
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineHealthCheck
metadata: {name: %[1]s-workers, namespace: %[2]s}
spec: {clusterName: %[1]s, selector: {matchLabels: {pool: mine}}}
`},
		"Cluster": {hand.Core, "Cluster", "", `
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: %[1]s, namespace: %[2]s}
spec: {infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixCluster, name: mine}}
`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := "f-" + lower(name)
			s := hand.NewScene(t, &shared, "foreign-"+lower(name))
			s.Apply(fmt.Sprintf(c.object, cluster, s.Namespace))
			was := s.Now(c.apiVersion, c.kind, cluster+c.suffix).GetResourceVersion()
			spec := s.Small(cluster)
			s.Declare(nil, spec)
			s.Within(hand.Soon, "the Fleet says who has the name", func() error {
				f := s.Fleet("production")
				if len(f.Status.Failures) == 0 {
					return fmt.Errorf("%+v", f.Status)
				}
				return words(f.Status.Failures[0].Message, c.kind+"/"+cluster+c.suffix, "not ours", "kubectl", "spec.adopt: true")
			})
			if now := s.Now(c.apiVersion, c.kind, cluster+c.suffix).GetResourceVersion(); now != was {
				t.Errorf("the foreign object was written: resource version %s was %s", now, was)
			}
			for _, o := range s.Objects(hand.ControlPlane, "KubeadmControlPlane", cluster) {
				t.Errorf("%s was created beside it", o.GetName())
			}
			if name != "HealthCheck" {
				return // what is immutable in them is another than the file's
			}
			spec.Extra = "  adopt: true\n"
			s.Change("take it over", spec)
			s.InSync(cluster)
			if o := s.Now(c.apiVersion, c.kind, cluster+c.suffix); o.GetLabels()[v1alpha1.ClusterLabel] != cluster {
				t.Errorf("not taken over: %v", o.Object)
			}
		})
	}
}

// TestForeignAfterAcceptance shows the same of a living cluster, to whose object another hand did what takes it out of
// the inventory.
func TestForeignAfterAcceptance(t *testing.T) {
	s := hand.NewScene(t, &shared, "leaves")
	s.Declare(nil, s.Small("leaves-1"))
	s.InSync("leaves-1")
	s.Kubectl("label", "machinehealthcheck", "leaves-1-workers", v1alpha1.ClusterLabel+"-")
	have := s.ClusterHas("leaves-1", v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.AlreadyExistsReason, hand.Soon)
	contains(t, message(have, v1alpha1.StalledCondition), "MachineHealthCheck/leaves-1-workers", "not ours", "managed by refract")
	s.Loosen("leaves-1-workers", "70%")
	s.Kubectl("label", "machinehealthcheck", "leaves-1-workers", v1alpha1.ClusterLabel+"=leaves-1")
	s.Tight("leaves-1-workers")
	s.InSync("leaves-1")
}

// TestForeignCredentials shows that a Secret in the place of a cluster's credentials is left alone and holds that
// cluster, and no other, until a commit says spec.adopt.
func TestForeignCredentials(t *testing.T) {
	s := hand.NewScene(t, &shared, "credentials")
	s.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: credentials-1-pc-credentials, namespace: %s}
stringData: {credentials: %s}
`, s.Namespace, canary))
	was := s.Now("v1", "Secret", "credentials-1-pc-credentials").GetResourceVersion()
	c := s.Small("credentials-1")
	s.Declare(nil, c, s.Small("credentials-2"))
	have := s.ClusterHas("credentials-1", v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.AlreadyExistsReason, hand.Soon)
	contains(t, message(have, v1alpha1.StalledCondition), "Secret credentials/credentials-1-pc-credentials", "not ours", "kubectl", "spec.adopt: true")
	s.Within(hand.Soon, "the account says so, too", func() error {
		a := &v1alpha1.CloudAccount{}
		if err := s.Client.Get(t.Context(), s.Key("pc-east"), a); err != nil {
			return err
		}
		return words(message(a, v1alpha1.StalledCondition), "credentials-1-pc-credentials", "kubectl")
	})
	s.InSync("credentials-2")
	s.Until("the other cluster has its own", "v1", "Secret", "credentials-2-pc-credentials", func(hand.Live) error { return nil })
	if now := s.Now("v1", "Secret", "credentials-1-pc-credentials").GetResourceVersion(); now != was {
		t.Errorf("the foreign Secret was written: resource version %s was %s", now, was)
	}
	for _, o := range s.Objects(hand.Core, "Cluster", "credentials-1") {
		t.Errorf("%s was applied with credentials of somebody else", o.GetName())
	}
	c.Extra = "  adopt: true\n"
	s.Change("take it over", c)
	s.Until("taken over", "v1", "Secret", "credentials-1-pc-credentials", func(o hand.Live) error {
		if o.GetResourceVersion() == was || o.GetLabels()[v1alpha1.ClusterLabel] != "credentials-1" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	s.InSync("credentials-1")
}

// TestOneWorker shows that clusters that do not come up hold nobody: with the one worker that the operator has here, 21
// clusters are applied although not one of them ever gets a machine.
func TestOneWorker(t *testing.T) {
	s := hand.NewScene(t, &shared, "worker")
	s.Declare(nil)
	files := map[string]string{}
	for i := range 21 {
		c := s.Small(fmt.Sprintf("worker-%02d", i))
		files["fleet/"+c.Name+".yaml"] = c.File()
	}
	s.Push("21 clusters", files)
	s.Within(4*hand.Soon, "all are applied", func() error {
		for name := range files {
			name = strings.TrimSuffix(strings.TrimPrefix(name, "fleet/"), ".yaml")
			if s.Object(hand.Core, "MachineDeployment", name+"-workers") == nil {
				return fmt.Errorf("%s is not", name)
			}
		}
		return nil
	})
	s.ClusterHas("worker-20", v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ProgressingReason, hand.Soon)
}
