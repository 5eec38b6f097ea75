package adopt

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/drift/hand"
)

// takenOver pushes the tuned file with spec.adopt: what the plan says happens, and nothing else.
func takenOver(l *life) {
	doc, _ := l.plan(l.files)
	before := l.quiet()
	l.push("take it over")
	l.ready()
	after := l.quiet()
	l.sameMachines()
	if planned, taken := l.touched(doc.Clusters[0].Changes), inventory(after); !slices.Equal(planned, taken) {
		l.T.Errorf("taken over are %v and the plan says %v", taken, planned)
	}
	for name, o := range before {
		if o.GetKind() != "NutanixCluster" && !reflect.DeepEqual(o.Object["spec"], after[name].Object["spec"]) {
			l.T.Errorf("the spec of %s was %v and is %v", name, o.Object["spec"], after[name].Object["spec"])
		}
	}
	now := hand.Live{Unstructured: new(after["NutanixCluster/"+cluster])}
	if err := now.Is("spec/prismCentral/credentialRef/name", `"`+cluster+`-pc-credentials"`); err != nil {
		l.T.Error(err)
	}
	if doc, code := l.plan(l.files); code != noChange {
		l.T.Errorf("afterwards refract plan ends with %d and says %+v", code, doc)
	}
	l.cleanUp()
}

// cleanUp deletes what the template made and Refract has its own of, as the guide says. The cluster does not notice.
func (l *life) cleanUp() {
	l.Kubectl("patch", "secret", cluster, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	l.Kubectl("patch", "configmap", cluster+"-pc-trusted-ca-bundle", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	l.Kubectl("delete", "--wait=true", "secret/"+cluster, "configmap/"+cluster+"-pc-trusted-ca-bundle", "clusterresourceset/nutanix-ccm-crs",
		"configmap/nutanix-ccm", "secret/nutanix-ccm-secret", "machinehealthcheck/"+cluster+"-mhc")
	l.quiet()
	l.ready()
	l.sameMachines()
}

// touched are the objects that changes are about, by kind and name, sorted.
func (l *life) touched(changes []plan.Change) []string {
	names := map[string]bool{}
	for _, c := range changes {
		names[c.Object.Kind+"/"+c.Object.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// inventory are the objects that Refract applied and labelled, by kind and name, sorted.
func inventory(all map[string]unstructured.Unstructured) []string {
	var names []string
	for name, o := range all {
		applied := slices.ContainsFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
			return e.Manager == v1alpha1.FieldManager && e.Operation == metav1.ManagedFieldsOperationApply
		})
		if applied && o.GetLabels()[v1alpha1.ClusterLabel] == cluster {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// push pushes the files and waits until the cluster's object holds them.
func (l *life) push(message string) {
	l.T.Helper()
	hash := l.Push(message, l.files.all())
	l.Within(hand.Soon, message+" is accepted", func() error {
		if c := l.Cluster(cluster); c == nil || !strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], hash) {
			return fmt.Errorf("the Fleet says %+v", l.Fleet("production").Status)
		}
		return nil
	})
}

func (l *life) ready() {
	l.T.Helper()
	l.InSync(cluster)
	l.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
}

// drift edits what was taken over: a field that the hand-made manifest set, and one that only Refract sets.
func drift(l *life) {
	l.Kubectl("patch", "nutanixcluster", cluster, "--type=merge", "-p", `{"spec":{"prismCentral":{"insecure":true}}}`)
	l.Until("certificates are verified again", hand.Infra, "NutanixCluster", cluster, func(o hand.Live) error { return o.Is("spec/prismCentral/insecure", "false") })
	l.Said(cluster, "DriftCorrected", "NutanixCluster/"+cluster, "insecure", "kubectl")
	l.Loosen(cluster+"-wmd", "70%")
	l.Tight(cluster + "-wmd")
	l.quiet()
	l.sameMachines()
}

// settled takes spec.adopt out again, and nothing else happens.
func settled(l *life) {
	l.ready()
	before := l.quiet()
	l.files.extra = ""
	l.push("adopted")
	l.ready()
	l.unchanged(before)
}
