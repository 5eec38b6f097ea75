package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/gitsource"
)

// explainFlags of explain.
type explainFlags struct {
	connection
	checkout, output string
}

func (p program) newExplain() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain CLUSTER",
		Short: "Say why a cluster is in the state that it is in",
		Long: `Answers in one paragraph: the state, since when, the cause, and what to do next. Then it shows what that follows from,
from Git to the machine: file, line and commit; the plan that is held; what preflight found; the conditions; what Cluster
API and the Nutanix provider say of machines, with the task in Prism Central; what differs; the events of the last hour.

Inside a clone of the Fleet's repository it names author and subject of the commits. It reads the management cluster and
writes nothing. ClusterRole refract-viewer suffices for the answer; the held plan change by change takes the right to read
Secret refract-record-CLUSTER. What may not be read is named at the end.

Exit codes: 0 all is well, 1 something is wrong or waits, 2 an error, or no such cluster.`,
		Example: `  refract explain edge-01 --namespace clusters
  refract explain edge-01 -n clusters -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			name, err := clusterOf(args)
			if err == nil {
				err = oneOf("output", f.output, outputText, outputJSON)
			}
			if err != nil {
				return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
			}
			return f.run(c.Context(), name, p.now(), c.OutOrStdout())
		},
	}
	f.bind(c.Flags())
	f.bindNamespace(c.Flags(), "namespace of the cluster; default: that of the context")
	c.Flags().StringVar(&f.checkout, "checkout", ".", "clone of the Fleet's repository, to name commits from")
	c.Flags().StringVarP(&f.output, "output", "o", outputText, "text or json")
	return c
}

// clusterOf takes a name, or cluster/NAME as the other commands do.
func clusterOf(args []string) (string, error) {
	t, err := treeTargetOf(args)
	if err != nil || t.name == "" || t.kind == nodeFleet {
		return "", errors.New("want one CLUSTER, by name or as cluster/NAME")
	}
	return t.name, nil
}

func (f explainFlags) run(ctx context.Context, name string, now time.Time, out io.Writer) error {
	config, namespace, err := f.open()
	if err != nil {
		return err
	}
	c, err := connect(config)
	if err != nil {
		return err
	}
	k, err := learn(ctx, c, client.ObjectKey{Namespace: namespace, Name: name}, now)
	if err != nil {
		return err
	}
	k.commits = commitsIn(f.checkout, k.revisions())
	e, err := k.explain()
	if err != nil {
		return err
	}
	if err := e.write(out, f.output, now); err != nil {
		return fmt.Errorf("writing the explanation: %w", err)
	}
	if !e.Healthy {
		return errFindings
	}
	return nil
}

// knowledge is all that an explanation is made from.
type knowledge struct {
	ground
	key client.ObjectKey
	// cluster is nil for one that was never accepted.
	cluster *v1alpha1.NutanixClusterSpec
	fleet   *v1alpha1.Fleet
	account *v1alpha1.CloudAccount
	objects []*unstructured.Unstructured
	// held is nil when no plan is held or it may not be read.
	held   *controllers.HeldPlan
	events []corev1.Event
	// commits of the clone that were asked for, by hash.
	commits map[string]gitsource.Commit
}

// learn reads what is known of a cluster. Fleets and clusters must be readable; what else may not be read is noted.
func learn(ctx context.Context, c client.Client, key client.ObjectKey, now time.Time) (*knowledge, error) {
	g, err := readGround(ctx, c, key.Namespace)
	if err != nil {
		return nil, err
	}
	k := &knowledge{ground: g, key: key}
	if !k.find() {
		return nil, fmt.Errorf("namespace %s has no cluster %s, and no Fleet there says anything of it; name another by --namespace, or see `refract tree -n %s`", key.Namespace, key.Name, key.Namespace)
	}
	if k.cluster == nil {
		return k, nil
	}
	for _, read := range []func(context.Context, client.Client) error{k.readControlPlane, k.readHeld} {
		if err := read(ctx, c); err != nil {
			return nil, err
		}
	}
	return k, k.readEvents(ctx, c, now)
}

// find picks the cluster and what belongs to it from what was listed, and says whether anything is known of it.
func (k *knowledge) find() bool {
	for i := range k.clusters {
		if k.clusters[i].Name == k.key.Name {
			k.cluster = &k.clusters[i]
		}
	}
	for i := range k.fleets {
		f := &k.fleets[i]
		switch {
		case k.cluster != nil && k.cluster.Annotations[v1alpha1.FleetAnnotation] == f.Name:
			k.fleet = f
		case k.cluster == nil && slices.ContainsFunc(f.Status.Failures, k.concerns):
			k.fleet = f
		}
	}
	if k.cluster == nil {
		return k.fleet != nil
	}
	for i := range k.accounts {
		if k.accounts[i].Name == k.cluster.Spec.AccountRef.Name {
			k.account = &k.accounts[i]
		}
	}
	k.objects = k.objectsOf(k.cluster)
	return true
}

func (k *knowledge) concerns(f v1alpha1.Failure) bool { return f.Cluster == k.key.Name }

// readControlPlane adds the control plane, which a viewer may not read since files in it may be secret.
func (k *knowledge) readControlPlane(ctx context.Context, c client.Client) error {
	for _, o := range k.objects {
		if o.GetKind() != kindCluster || nested(o, "spec", "controlPlaneRef", "name") == "" {
			continue
		}
		kcp := &unstructured.Unstructured{}
		kcp.SetAPIVersion("controlplane.cluster.x-k8s.io/v1beta2")
		kcp.SetKind(nested(o, "spec", "controlPlaneRef", "kind"))
		err := c.Get(ctx, client.ObjectKey{Namespace: k.key.Namespace, Name: nested(o, "spec", "controlPlaneRef", "name")}, kcp)
		switch {
		case apierrors.IsForbidden(err):
			k.unread = append(k.unread, "the control plane itself, which may hold secret files: you may not read it; its Machines and the Cluster are told")
		case err == nil:
			k.objects = append(k.objects, kcp)
		case !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err):
			return fmt.Errorf("reading the control plane: %w", err)
		}
		return nil
	}
	return nil
}

// readHeld reads the plan that is held, where there is one.
func (k *knowledge) readHeld(ctx context.Context, c client.Client) error {
	if k.cluster.Status.Plan.Digest == "" {
		return nil
	}
	held, err := controllers.ReadHeldPlan(ctx, c, k.key)
	switch {
	case apierrors.IsForbidden(err):
		k.unread = append(k.unread, "the held plan change by change: you may not read Secret refract-record-"+k.key.Name+"; `refract plan` makes it anew from the files")
	case err != nil:
		return err
	case held != nil && held.Plan.Digest() == k.cluster.Status.Plan.Digest:
		k.held = held
	}
	return nil
}

// eventsWithin is how far back events are told.
const eventsWithin = time.Hour

// readEvents keeps the events of the last hour about the cluster, its machines and its Fleet.
func (k *knowledge) readEvents(ctx context.Context, c client.Client, now time.Time) error {
	list := &corev1.EventList{}
	err := c.List(ctx, list, client.InNamespace(k.key.Namespace))
	if apierrors.IsForbidden(err) {
		k.unread = append(k.unread, "events: you may not list them")
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing Events: %w", err)
	}
	for _, e := range list.Items {
		if now.Sub(eventTime(e)) <= eventsWithin && k.isAbout(e) {
			k.events = append(k.events, e)
		}
	}
	return nil
}

func (k *knowledge) isAbout(e corev1.Event) bool {
	o := e.InvolvedObject
	if o.Kind == v1alpha1.NutanixClusterSpecKind {
		return o.Name == k.key.Name
	}
	return slices.ContainsFunc(k.objects, func(u *unstructured.Unstructured) bool { return u.GetKind() == o.Kind && u.GetName() == o.Name })
}

func eventTime(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// commitsIn looks revisions up in a clone. Outside of one, and in one of another repository, nothing is found.
func commitsIn(dir string, revisions []string) map[string]gitsource.Commit {
	found := map[string]gitsource.Commit{}
	local, err := gitsource.OpenLocal(dir)
	if err != nil {
		return found
	}
	for _, r := range revisions {
		revision, err := gitsource.ParseRevision(r)
		if err != nil || revision.Hash == "" {
			continue
		}
		if c, err := local.Commit(revision.Hash); err == nil {
			found[revision.Hash] = c
		}
	}
	return found
}
