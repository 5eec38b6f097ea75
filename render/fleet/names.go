package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// name is one that an object of a cluster gets.
type name struct {
	kind, name string
	field      string // that decides it
}

// reserved are the names that layers may not have: those of a cluster's Secrets and ConfigMaps, Cluster API's included.
var reserved = []string{"ca", "ccm", "ccm-credentials", "etcd", "kubeconfig", "pc-ca", "pc-credentials", "proxy", "sa"}

// names lists what may be called the same as an object of another cluster: names are put together with hyphens, so pool
// b-c of cluster a and pool c of cluster a-b meet. One kind stands for those whose names are made the same way: machine
// templates for KubeadmConfigTemplates and MachineHealthChecks, ClusterResourceSets for what they deliver.
func names(c *v1alpha1.NutanixClusterSpec) []name {
	var out []name
	add := func(kind, part, field string) { out = append(out, name{kind, c.Name + "-" + part, field}) }
	add("NutanixMachineTemplate", "kcp", "metadata.name")
	for n, p := range c.Spec.NodePools {
		at := fmt.Sprintf("spec.nodePools[%d].", n)
		add("NutanixMachineTemplate", p.Name, at+"name")
		if p.ObjectName != "" {
			out = append(out, name{"MachineDeployment", p.ObjectName, at + "objectName"})
		} else {
			add("MachineDeployment", p.Name, at+"name")
		}
	}
	for n, fd := range c.Spec.FailureDomains {
		add("NutanixFailureDomain", fd.Name, fmt.Sprintf("spec.failureDomains[%d].name", n))
	}
	for _, part := range reserved {
		add("ClusterResourceSet", part, "metadata.name")
	}
	return out
}

// names adds those that come from the layers of the cluster's profiles.
func (c *clusterItem) names() []name {
	out := names(c.Object)
	for _, p := range c.profiles {
		for _, l := range p.Layers {
			out = append(out, name{"ClusterResourceSet", c.name + "-" + l.Name, "metadata.name"})
		}
	}
	return out
}

// collisions checks that no two clusters, or pools of one, yield objects of the same name. The mistake is that of the
// file that comes later.
func collisions(clusters []*clusterItem) {
	type owner struct {
		*clusterItem
		field string
	}
	ordered := slices.Clone(clusters)
	slices.SortStableFunc(ordered, func(a, b *clusterItem) int {
		return cmp.Or(cmp.Compare(a.doc.Path, b.doc.Path), cmp.Compare(a.doc.Line, b.doc.Line))
	})
	taken := map[string]owner{}
	for _, c := range ordered {
		said := map[string]bool{} // one mistake a field
		for _, n := range c.names() {
			id := n.kind + " " + n.name
			first, there := taken[id]
			switch {
			case !there:
				taken[id] = owner{c, n.field}
			case first.clusterItem != c && first.name == c.name: // reported as declared twice
			case first.clusterItem == c && adopted(n.field) == adopted(first.field): // reported by the schema or by render
			case said[n.field]:
			case first.clusterItem == c:
				c.fail(n.field, "%s would also be made for %s: give one of them another name", id, first.field)
			default:
				c.fail(n.field, "%s would also be made for cluster %s in %s: rename the cluster, pool, failure domain or layer",
					id, first.name, first)
				said[n.field] = true
			}
		}
	}
}

func adopted(field string) bool { return strings.HasSuffix(field, ".objectName") }

// ignoredFields checks the JSON pointers of spec.driftIgnore. One that crosses a list by position means another item as
// soon as the list changes, and a list that is partly ours is written as a whole.
func (i *item) ignoredFields(rules []v1alpha1.DriftIgnore) {
	for n, rule := range rules {
		for m, pointer := range rule.Paths {
			if err := wholeFields(pointer); err != nil {
				at := fmt.Sprintf("spec.driftIgnore[%d].paths[%d]", n, m)
				i.fail(at, "%s: %w", at, err)
			}
		}
	}
}

// wholeFields checks one JSON pointer (RFC 6901).
func wholeFields(pointer string) error {
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return nil // reported by the schema
	}
	tokens := strings.Split(rest, "/")
	for n, token := range tokens {
		switch {
		case token == "":
			return fmt.Errorf("%q is not a JSON pointer to a field: a part is empty", pointer)
		case strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~"):
			return fmt.Errorf("%q is not a JSON pointer: write ~0 for ~ and ~1 for /", pointer)
		case token == "-" || strings.Trim(strings.TrimLeft(token, "+-"), "0123456789") == "":
			whole := "/" + strings.Join(tokens[:n], "/")
			if n == 0 {
				return fmt.Errorf("%q does not begin with the name of a field", pointer)
			}
			return fmt.Errorf("%q crosses a list by position, which moves when the list changes: name the whole list instead, %s", pointer, whole)
		}
	}
	return nil
}
