package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// Kinds of nodes. Scripts rely on them.
const (
	nodeAccount      = "Account"
	nodeFleet        = "Fleet"
	nodeCluster      = "Cluster"
	nodeControlPlane = "ControlPlane"
	nodePool         = "Pool"
	nodeMachine      = "Machine"
	nodeVM           = "VM"
)

// tree is what hangs together. It is what -o json prints; within its version fields are only added.
type tree struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Roots      []*node `json:"roots"`
	// Unread says what could not be listed, and why: what is missing of it is not known to be absent.
	Unread []string `json:"unread,omitempty"`
}

// node is one thing in a tree.
type node struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	// State in one word or a few.
	State string `json:"state,omitempty"`
	// Facts about it, in the order in which a person wants them.
	Facts facts `json:"facts,omitempty"`
	// Trouble: what is wrong, each with what to do.
	Trouble  []string `json:"trouble,omitempty"`
	Children []*node  `json:"children,omitempty"`
}

func (n *node) fact(name, value string) {
	if value != "" {
		n.Facts = append(n.Facts, fact{name: name, value: value})
	}
}

func (n *node) since(name string, at time.Time) {
	if !at.IsZero() {
		n.fact(name, at.UTC().Format(time.RFC3339))
	}
}

// wrong notes trouble once: conditions repeat each other.
func (n *node) wrong(format string, args ...any) {
	line := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if line != "" && !slices.ContainsFunc(n.Trouble, func(s string) bool { return strings.Contains(s, line) }) {
		n.Trouble = append(n.Trouble, line)
	}
}

// shows says whether a target names something, be it as the root or as part of everything.
func (t treeTarget) shows(kind, name string) bool {
	return (t.kind == "" || t.kind == kind) && (t.name == "" || t.name == name)
}

// grow makes the tree of what was listed, or the part of it that the target names. It asks nobody.
func grow(g ground, t treeTarget) (tree, error) {
	result := tree{APIVersion: "tree.refract.dev/v1", Kind: "Tree", Roots: []*node{}, Unread: g.unread}
	var roots []*node
	shown := map[*v1alpha1.NutanixClusterSpec]bool{}
	for i := range g.fleets {
		f := &g.fleets[i]
		if !t.shows(nodeFleet, f.Name) {
			continue
		}
		n := fleetNode(f)
		if err := g.hang(n, g.of(f), shown); err != nil {
			return result, err
		}
		roots = append(roots, n)
	}
	// Beside those: the cluster that was asked for, and clusters without a Fleet.
	var others []*v1alpha1.NutanixClusterSpec
	for i := range g.clusters {
		if c := &g.clusters[i]; t.shows(nodeCluster, c.Name) && !shown[c] {
			others = append(others, c)
		}
	}
	beside := &node{}
	if err := g.hang(beside, others, shown); err != nil {
		return result, err
	}
	roots = append(roots, beside.Children...)
	result.Roots = append(result.Roots, g.accountNodes(shown, t.name == "")...)
	result.Roots = append(result.Roots, roots...)
	return result, nil
}

// hang hangs clusters from a node and notes that they are shown.
func (g ground) hang(parent *node, clusters []*v1alpha1.NutanixClusterSpec, shown map[*v1alpha1.NutanixClusterSpec]bool) error {
	for _, c := range clusters {
		shown[c] = true
		n, err := g.cluster(c)
		if err != nil {
			return err
		}
		parent.Children = append(parent.Children, n)
	}
	return nil
}

// of are the clusters that a Fleet mirrors.
func (g ground) of(f *v1alpha1.Fleet) []*v1alpha1.NutanixClusterSpec {
	var clusters []*v1alpha1.NutanixClusterSpec
	for i := range g.clusters {
		c := &g.clusters[i]
		if c.Namespace == f.Namespace && c.Annotations[v1alpha1.FleetAnnotation] == f.Name {
			clusters = append(clusters, c)
		}
	}
	return clusters
}

// accountNodes are the accounts of the clusters that are shown, or all.
func (g ground) accountNodes(shown map[*v1alpha1.NutanixClusterSpec]bool, all bool) []*node {
	inUse := map[string]bool{}
	for c := range shown {
		inUse[c.Namespace+"/"+c.Spec.AccountRef.Name] = true
	}
	var nodes []*node
	for i := range g.accounts {
		if a := &g.accounts[i]; all || inUse[a.Namespace+"/"+a.Name] {
			nodes = append(nodes, accountNode(a))
		}
	}
	return nodes
}

func accountNode(a *v1alpha1.CloudAccount) *node {
	n := &node{Kind: nodeAccount, Name: a.Name, Namespace: a.Namespace, State: readiness(a.Status.Conditions)}
	n.fact("address", a.Spec.Endpoint.Address)
	if a.Status.PrismCentral != "" {
		n.fact("prismCentral", "Prism Central "+a.Status.PrismCentral)
	}
	n.fact("clusters", count(int(a.Status.Clusters), "cluster"))
	if a.Status.InventoryAt != nil {
		n.since("inventory", a.Status.InventoryAt.Time)
	}
	n.conditions(a.Status.Conditions, v1alpha1.ReadyCondition)
	for _, e := range a.Status.Elements {
		if e.Available != nil && !*e.Available {
			n.wrong("Prism Central does not reach Prism Element %s", e.Name)
		}
	}
	for _, u := range a.Status.Unknown {
		n.wrong("not known: %s: %s", u.Part, u.Reason)
	}
	return n
}

func fleetNode(f *v1alpha1.Fleet) *node {
	n := &node{Kind: nodeFleet, Name: f.Name, Namespace: f.Namespace, State: readiness(f.Status.Conditions)}
	if f.Spec.Suspend {
		n.State = "suspended"
	}
	n.fact("revision", f.Status.LastAppliedRevision)
	c := f.Status.Clusters
	n.fact("clusters", fmt.Sprintf("%d of %s ready, %d held, %d drifted", c.Ready, count(int(c.Total), "cluster"), c.Held, c.Drifted))
	n.conditions(f.Status.Conditions, v1alpha1.ReadyCondition)
	n.held(f.Status.Plan, plan.ApproveCommand(f.Namespace, f.Name, "", f.Status.Plan.Digest))
	for _, failure := range f.Status.Failures {
		n.wrong("%s", failureLine(failure))
	}
	if more := int(f.Status.TotalFailures) - len(f.Status.Failures); more > 0 {
		n.wrong("and %d more mistakes", more)
	}
	return n
}

func failureLine(f v1alpha1.Failure) string {
	place := f.File
	if f.Line > 0 {
		place += fmt.Sprintf(":%d", f.Line)
	}
	var parts []string
	for _, s := range []string{place, f.Cluster, f.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// cluster grows one cluster, down to its VMs.
func (g ground) cluster(c *v1alpha1.NutanixClusterSpec) (*node, error) {
	n := &node{Kind: nodeCluster, Name: c.Name, Namespace: c.Namespace, State: cmp.Or(string(c.Status.Phase), "not looked at yet")}
	if c.Spec.Suspend {
		n.State += ", suspended"
	}
	n.fact("version", c.Status.KubernetesVersion)
	n.fact("profile", c.Status.Profile)
	n.fact("revision", c.Status.ShortRevision)
	objects := g.objectsOf(c)
	problems, err := kube.Problems(objects)
	if err != nil {
		return nil, err
	}
	b := &branch{cluster: c, root: n, objects: objects, problems: problems, places: map[string]*node{}}
	b.machines()
	n.conditions(c.Status.Conditions, v1alpha1.SourceAcceptedCondition, v1alpha1.PreflightPassedCondition,
		v1alpha1.PausedCondition, v1alpha1.InSyncCondition, v1alpha1.ReadyCondition)
	command := plan.ApproveCommand(c.Namespace, "", c.Name, c.Status.Plan.Digest)
	if removal(c) {
		command = plan.ApproveCommand(c.Namespace, c.Annotations[v1alpha1.FleetAnnotation], "", c.Status.Plan.Digest)
	}
	n.held(c.Status.Plan, command)
	for _, f := range c.Status.Failures {
		n.wrong("%s", failureLine(f))
	}
	for _, f := range c.Status.Preflight {
		n.wrong("preflight %s (%s): %s: %s", f.Check, f.Verdict, cmp.Or(f.Field, "cluster"), f.Message)
	}
	b.drift()
	b.trouble()
	return n, nil
}

// objectsOf are the Cluster API and CAPX objects of a cluster.
func (g ground) objectsOf(c *v1alpha1.NutanixClusterSpec) []*unstructured.Unstructured {
	var objects []*unstructured.Unstructured
	for _, o := range g.capi {
		name := o.GetLabels()["cluster.x-k8s.io/cluster-name"]
		if o.GetKind() == kindCluster || name == "" {
			name = cmp.Or(o.GetLabels()[v1alpha1.ClusterLabel], o.GetName())
		}
		if o.GetNamespace() == c.Namespace && name == c.Name {
			objects = append(objects, o)
		}
	}
	return objects
}

// held tells of a plan that waits for a person, with the command that lets it go on.
func (n *node) held(p v1alpha1.PlanStatus, command string) {
	if p.Digest == "" {
		return
	}
	n.Trouble = slices.DeleteFunc(n.Trouble, func(s string) bool { return s == p.Summary })
	n.Trouble = append(n.Trouble, fmt.Sprintf("plan held (%s): %s; look at it, then `%s`", p.Severity, p.Summary, command))
}

// conditions notes those of the given conditions that are not as they should be, the causes first. Paused is absent or
// False when all is well, the others True.
func (n *node) conditions(all []metav1.Condition, names ...string) {
	for _, name := range names {
		c := meta.FindStatusCondition(all, name)
		if c == nil {
			continue
		}
		good := metav1.ConditionTrue
		if name == v1alpha1.PausedCondition {
			good = metav1.ConditionFalse
		}
		warns := name == v1alpha1.PreflightPassedCondition && c.Reason == v1alpha1.CapacityShortReason
		if c.Status == good && !warns || c.Message == "" {
			continue
		}
		message := strings.Join(strings.Fields(c.Message), " ")
		if !slices.ContainsFunc(n.Trouble, func(s string) bool { return strings.HasSuffix(s, message) }) {
			n.wrong("%s: %s", c.Reason, message)
		}
	}
}

// readiness is Ready in a word.
func readiness(conditions []metav1.Condition) string {
	c := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition)
	switch {
	case c == nil:
		return "not looked at yet"
	case c.Status == metav1.ConditionTrue:
		return "Ready"
	}
	return c.Reason
}
