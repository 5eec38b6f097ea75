package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// treeFlags of tree.
type treeFlags struct {
	connection
	all    bool
	output string
}

func (p program) newTree() *cobra.Command {
	var f treeFlags
	c := &cobra.Command{
		Use:   "tree [FLEET | CLUSTER]",
		Short: "Show fleets, clusters, machines and their VMs, and where something is wrong",
		Long: `Shows from the management cluster what hangs together: Fleet, clusters, control plane and pools, Machines, virtual
machines, with their state, and under each what is wrong with it: a plan that is held, what a check before an apply
found, a VM that differs from what was accepted, what Cluster API or the Nutanix provider say, and what helps. The
accounts in use come first.

FLEET or CLUSTER is a name; fleet/NAME and cluster/NAME say which, where both exist. It reads a handful of lists, however
many clusters there are, no Secrets, and nothing of Prism Central: what is there is told as of the last inventory.
ClusterRole refract-viewer suffices; what may not be read is named at the end.

Exit codes: 0 shown, 2 an error, or nothing of that name.`,
		Example: `  refract tree --namespace clusters
  refract tree edge-01 -n clusters
  refract tree --all -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := treeTargetOf(args)
			if err == nil {
				err = oneOf("output", f.output, outputText, outputJSON, outputYAML)
			}
			if err == nil && f.all && f.namespace != "" {
				err = errors.New("--all and --namespace exclude each other")
			}
			if err != nil {
				return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
			}
			return f.run(c.Context(), t, p.now(), c.OutOrStdout())
		},
	}
	f.bind(c.Flags())
	f.bindNamespace(c.Flags(), "namespace to show; default: that of the context")
	c.Flags().BoolVarP(&f.all, "all", "A", false, "show every namespace")
	c.Flags().StringVarP(&f.output, "output", "o", outputText, "text, json or yaml")
	return c
}

// treeTarget is what to show: everything when its name is empty, either kind when none is said.
type treeTarget struct {
	kind, name string
}

func treeTargetOf(args []string) (treeTarget, error) {
	switch {
	case len(args) == 0:
		return treeTarget{}, nil
	case len(args) > 1:
		return treeTarget{}, fmt.Errorf("want at most one FLEET or CLUSTER, got %q", strings.Join(args, " "))
	case !strings.Contains(args[0], "/"):
		return treeTarget{name: args[0]}, nil
	}
	t, err := targetOf(args, "")
	if err != nil {
		return treeTarget{}, fmt.Errorf("want FLEET, CLUSTER, fleet/NAME or cluster/NAME, got %q", args[0])
	}
	if t.fleet {
		return treeTarget{kind: nodeFleet, name: t.name}, nil
	}
	return treeTarget{kind: nodeCluster, name: t.name}, nil
}

func (f treeFlags) run(ctx context.Context, t treeTarget, now time.Time, out io.Writer) error {
	config, namespace, err := f.open()
	if err != nil {
		return err
	}
	c, err := connect(config)
	if err != nil {
		return err
	}
	if f.all {
		namespace = ""
	}
	found, err := readGround(ctx, c, namespace)
	if err != nil {
		return err
	}
	tree, err := grow(found, t)
	if err != nil {
		return err
	}
	if len(tree.Roots) == 0 {
		return nothingGrows(t, namespace)
	}
	if err := tree.write(out, f.output, now); err != nil {
		return fmt.Errorf("writing the tree: %w", err)
	}
	return nil
}

func nothingGrows(t treeTarget, namespace string) error {
	where := "namespace " + namespace
	if namespace == "" {
		where = "any namespace"
	}
	switch t.kind {
	case nodeFleet:
		return fmt.Errorf("no Fleet %s in %s; name another by --namespace, or --all", t.name, where)
	case nodeCluster:
		return fmt.Errorf("no cluster %s in %s; name another by --namespace, or --all (a cluster that was never accepted stands in its Fleet only)", t.name, where)
	}
	if t.name != "" {
		return fmt.Errorf("no Fleet and no cluster %s in %s; name another by --namespace, or --all", t.name, where)
	}
	return fmt.Errorf("no Fleet and no cluster in %s; name another by --namespace, or --all", where)
}

// ground is all that a tree grows from, as it was listed.
type ground struct {
	fleets   []v1alpha1.Fleet
	clusters []v1alpha1.NutanixClusterSpec
	accounts []v1alpha1.CloudAccount
	// capi are the Cluster API and CAPX objects, each with its kind.
	capi []*unstructured.Unstructured
	// unread says of what could not be listed, why.
	unread []string
}

// treeKinds are listed beside our own. KubeadmControlPlanes and KubeadmConfigs are left out: files in them may be secret,
// so that a viewer has no right to them, and what is wrong with them stands on the Cluster and the Machines, too.
var treeKinds = []schema.GroupVersionKind{
	{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: kindCluster},
	{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta1", Kind: kindNutanixCluster},
	{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: kindDeployment},
	{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: kindMachine},
	{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta1", Kind: kindNutanixMachine},
}

// readGround lists each kind once, in a namespace or, without one, in all. Fleets and clusters must be readable; what
// else may not be read is noted.
func readGround(ctx context.Context, c client.Reader, namespace string) (ground, error) {
	var (
		g        ground
		fleets   v1alpha1.FleetList
		clusters v1alpha1.NutanixClusterSpecList
		accounts v1alpha1.CloudAccountList
	)
	if err := c.List(ctx, &fleets, client.InNamespace(namespace)); err != nil {
		return g, fmt.Errorf("listing Fleets: %w", err)
	}
	if err := c.List(ctx, &clusters, client.InNamespace(namespace)); err != nil {
		return g, fmt.Errorf("listing NutanixClusterSpecs: %w", err)
	}
	if err := g.list(ctx, c, namespace, "CloudAccount", &accounts); err != nil {
		return g, err
	}
	g.fleets, g.clusters, g.accounts = fleets.Items, clusters.Items, accounts.Items
	for _, kind := range treeKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := g.list(ctx, c, namespace, kind.Kind, list); err != nil {
			return g, err
		}
		for i := range list.Items {
			g.capi = append(g.capi, &list.Items[i])
		}
	}
	slices.SortStableFunc(g.capi, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return g, nil
}

// list lists a kind, or notes why it cannot be listed by this user on this management cluster.
func (g *ground) list(ctx context.Context, c client.Reader, namespace, kind string, into client.ObjectList) error {
	err := c.List(ctx, into, client.InNamespace(namespace))
	switch {
	case apierrors.IsForbidden(err):
		g.unread = append(g.unread, kind+"s: you may not list them; ClusterRole refract-viewer may")
	case meta.IsNoMatchError(err) || apierrors.IsNotFound(err):
		g.unread = append(g.unread, kind+"s: the management cluster does not know them in the version that Refract reads")
	case err != nil:
		return fmt.Errorf("listing %ss: %w", kind, err)
	}
	return nil
}
