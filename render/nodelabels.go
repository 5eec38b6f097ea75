package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// clusterNameLabel is Cluster API's own; every rendered object has it.
const clusterNameLabel = "cluster.x-k8s.io/cluster-name"

// syncedLabels returns the labels that Cluster API keeps in step from a Machine to its Node without re-creating it.
func syncedLabels(labels map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		if isSynced(k) {
			out[k] = v
		}
	}
	return out
}

// kubeletLabels returns the other labels as the kubelet's flag node-labels takes them.
func kubeletLabels(labels map[string]string) string {
	var out []string
	sorted(labels, func(k, v string) {
		if !isSynced(k) {
			out = append(out, k+"="+v)
		}
	})
	return strings.Join(out, ",")
}

// isSynced follows Cluster API's rule for Machine labels that go to Nodes.
func isSynced(label string) bool {
	domain := domainOf(label)
	return domain == "node-role.kubernetes.io" || within(domain, "node-restriction.kubernetes.io") ||
		within(domain, "node.cluster.x-k8s.io")
}

// kubeletMaySet lists the labels in Kubernetes' own domains that a kubelet may give its node.
var kubeletMaySet = []string{
	"kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/os",
	"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
	"failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
	"topology.kubernetes.io/region", "topology.kubernetes.io/zone",
}

// checkNodeLabels refuses labels with which the kubelet does not start: the machine would never join.
func checkNodeLabels(pool string, labels map[string]string) error {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		domain := domainOf(k)
		reserved := within(domain, "kubernetes.io") || within(domain, "k8s.io")
		allowed := isSynced(k) || within(domain, "kubelet.kubernetes.io") || within(domain, "node.kubernetes.io") ||
			slices.Contains(kubeletMaySet, k)
		if reserved && !allowed {
			return fmt.Errorf("node pool %s: no kubelet starts with label %s: use the domain "+
				"node-restriction.kubernetes.io, node.cluster.x-k8s.io or one of your own", pool, k)
		}
	}
	return nil
}

func domainOf(label string) string {
	domain, _, ok := strings.Cut(label, "/")
	if !ok {
		return ""
	}
	return domain
}

// within tells whether domain is parent or below it.
func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}
