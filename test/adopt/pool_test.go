package adopt

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// pool has somebody make a node pool by hand beside the cluster's own, as a renamed copy, and the file declare it.
func pool(l *life) {
	var copies []string
	for text := range strings.SplitSeq(l.generate(), "\n---\n") {
		for _, kind := range []string{"KubeadmConfigTemplate", "MachineDeployment", "NutanixMachineTemplate"} {
			if strings.Contains(text, "\nkind: "+kind+"\n") {
				copies = append(copies, text)
			}
		}
	}
	rename := strings.NewReplacer(cluster+"-wmd", "batch", cluster+"-kcfg-0", "batch-kcfg", cluster+"-mt-0", "batch-mt")
	l.apply(rename.Replace(strings.Join(copies, "\n---\n")))
	l.up(3)
	l.machines, l.vms = l.uids(), l.vmIDs()
	before := l.quiet()

	l.files.pools = "    - name: batch\n      objectName: batch\n      replicas: 1\n      machine: {vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi}\n"
	l.Push("declare the pool", l.files.all())
	held := l.ClusterHas(cluster, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.AlreadyExistsReason, hand.Soon)
	if err := words(message(held, v1alpha1.SourceAcceptedCondition), "MachineDeployment/batch", "not ours", "spec.adopt: true"); err != nil {
		l.T.Error(err)
	}
	l.unchanged(before)

	l.files.extra = adopting
	doc, _ := l.plan(l.files)
	if p := doc.Clusters[0]; p.Recreated != 0 || p.Removed != 0 {
		l.T.Errorf("taking the pool over re-creates %d and removes %d machines: %+v", p.Recreated, p.Removed, p.Changes)
	}
	l.push("take the pool over")
	l.ready()
	l.quiet()
	l.sameMachines()
	if o := l.Now(hand.Core, "MachineDeployment", "batch"); o.GetLabels()[v1alpha1.ClusterLabel] != cluster {
		l.T.Errorf("the pool is not taken over: %v", o.Object)
	}
	l.files.extra = ""
	l.push("adopted")
	l.ready()
	l.sameMachines()
}
