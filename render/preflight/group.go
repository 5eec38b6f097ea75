package preflight

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/site"
)

const (
	kindControlPlane  = "KubeadmControlPlane"
	kindPool          = "MachineDeployment"
	kindTemplate      = "NutanixMachineTemplate"
	kindFailureDomain = "NutanixFailureDomain"
	kindCluster       = "NutanixCluster"
)

// group is a control plane or a pool: machines of one template.
type group struct {
	kind, name string
	// path of it in the cluster's file.
	path string
	// version of Kubernetes.
	version string
	// replicas that are wanted; of an autoscaled pool, which says no number, the fewest. maxSurge is how many more there
	// may be while rolling, as it is written.
	replicas   int
	autoscaled bool
	maxSurge   any
	// template is the name of its NutanixMachineTemplate, spec what that says.
	template string
	spec     site.MachineSpec
	// machine is what the file says; nil if it has no such control plane or pool.
	machine *v1alpha1.Machine
	cluster *v1alpha1.NutanixClusterSpec
	// places that its machines come to: its template's, or failure domains.
	places []place
	// names of its machines.
	names *regexp.Regexp
	// strange are failure domains that are not among the rendered objects.
	strange []string
}

// place is a Prism Element with subnets.
type place struct {
	element      site.ID
	elementField string
	subnets      []site.ID
	subnetFields []string
}

// groups reads the control plane and the pools from the rendered objects.
func groups(in Input) []group {
	var out []group
	for _, o := range in.Objects {
		switch o.GetKind() {
		case kindControlPlane:
			out = append(out, controlPlane(in, o))
		case kindPool:
			out = append(out, pool(in, o))
		}
	}
	return out
}

func controlPlane(in Input, o *unstructured.Unstructured) group {
	g := group{kind: kindControlPlane, path: "spec.controlPlane", version: text(o, "spec", "version"), replicas: replicas(o)}
	g.template = text(o, "spec", "machineTemplate", "spec", "infrastructureRef", "name")
	if in.Cluster != nil {
		g.machine = &in.Cluster.Spec.ControlPlane.Machine
	}
	var domains []string
	for _, c := range in.Objects {
		if c.GetKind() != kindCluster {
			continue
		}
		names, _, _ := unstructured.NestedSlice(c.Object, "spec", "controlPlaneFailureDomains")
		for _, n := range names {
			if m, ok := n.(map[string]any); ok {
				name, _ := m["name"].(string)
				domains = append(domains, name)
			}
		}
	}
	g.complete(in, o, domains)
	return g
}

func pool(in Input, o *unstructured.Unstructured) group {
	g := group{kind: kindPool, path: kindPool + "/" + o.GetName(), version: text(o, "spec", "template", "spec", "version"), replicas: replicas(o)}
	g.template = text(o, "spec", "template", "spec", "infrastructureRef", "name")
	if in.Cluster != nil {
		for i, p := range in.Cluster.Spec.NodePools {
			if o.GetName() == p.ObjectName || p.ObjectName == "" && o.GetName() == in.Cluster.Name+"-"+p.Name {
				g.machine, g.path = &in.Cluster.Spec.NodePools[i].Machine, "spec.nodePools["+p.Name+"]"
			}
		}
	}
	var domains []string
	if d := text(o, "spec", "template", "spec", "failureDomain"); d != "" {
		domains = append(domains, d)
	}
	g.complete(in, o, domains)
	return g
}

// complete fills in what control planes and pools have in common.
func (g *group) complete(in Input, o *unstructured.Unstructured, domains []string) {
	g.name, g.cluster = o.GetName(), in.Cluster
	g.names = machineNames(g.kind, g.name)
	g.maxSurge, _, _ = unstructured.NestedFieldNoCopy(o.Object, "spec", "rollout", "strategy", "rollingUpdate", "maxSurge")
	_, fixed, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	g.autoscaled = !fixed
	if t := object(in.Objects, kindTemplate, g.template); t != nil {
		spec, _, _ := unstructured.NestedMap(t.Object, "spec", "template", "spec")
		g.spec = site.ReadMachine(spec)
	}
	for _, d := range domains {
		if o := object(in.Objects, kindFailureDomain, d); o != nil {
			g.places = append(g.places, domain(in.Cluster, o))
		} else {
			g.strange = append(g.strange, d)
		}
	}
	if len(domains) == 0 {
		g.places = []place{g.undivided()}
	}
}

// coming is the number of machines that the plan makes.
func (g *group) coming(machines map[string]int) int {
	if machines == nil {
		return g.replicas
	}
	return machines[g.kind+"/"+g.name]
}

// autoscalerMin is where the number of machines stands that an autoscaled pool begins with.
const autoscalerMin = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size"

func replicas(o *unstructured.Unstructured) int {
	if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); ok {
		return int(n)
	}
	if n, err := strconv.Atoi(o.GetAnnotations()[autoscalerMin]); err == nil {
		return n
	}
	return 1
}

// surge is maxSurge: by default 1; a percentage is rounded up, as Cluster API does.
func surge(maxSurge any, replicas int) int {
	switch n := maxSurge.(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	case string:
		if percent, err := strconv.Atoi(strings.TrimSuffix(n, "%")); err == nil {
			if !strings.HasSuffix(n, "%") {
				return percent
			}
			return int(math.Ceil(float64(replicas*percent) / 100))
		}
	}
	return 1
}

// machineNames matches the names that Cluster API gives to machines: random letters behind the control plane's name, or
// behind the pool's and its MachineSet's.
func machineNames(kind, name string) *regexp.Regexp {
	const random = "-[bcdfghjklmnpqrstvwxz2456789]{5}"
	pattern := "^" + regexp.QuoteMeta(name) + random
	if kind == kindPool {
		pattern += random
	}
	return regexp.MustCompile(pattern + "$")
}

func object(all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	for _, o := range all {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	return nil
}

func text(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}
