package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	planview "github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/site"
)

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// liveReview is the management cluster as the pull requests of one Fleet are planned against it. It changes nothing: what
// it sends are dry runs.
type liveReview struct {
	*ReviewReconciler
	fleet *v1alpha1.Fleet
}

// State implements review.Live, out of the cache. What of it counts depends on the plan:
//
//   - of every cluster of the namespace, that it is there, whose it is, and whether it is going: names are taken, and what
//     vanishes counts against all there are;
//   - of those of the Fleet, what is accepted and whether another hand deleted it: what is not as declared is planned, too;
//   - where machines go or are re-created, which plans of the Fleet that do that are not carried out: limits sum over them;
//   - of the clusters that it is about, their objects by generation, their machines, and what was found about them;
//   - of the accounts that it makes machines at, whether Prism Central is known.
func (l *liveReview) State(ctx context.Context) (review.State, error) {
	mirrors := &v1alpha1.NutanixClusterSpecList{}
	if err := l.List(ctx, mirrors, client.InNamespace(l.fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing NutanixClusterSpecs: %w", err)
	}
	accounts := &v1alpha1.CloudAccountList{}
	if err := l.List(ctx, accounts, client.InNamespace(l.fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing CloudAccounts: %w", err)
	}
	m := &moment{fleet: l.fleet.Name, mirrors: mirrors.Items, accounts: map[string][]any{}}
	for i := range accounts.Items {
		a := &accounts.Items[i]
		m.accounts[a.Name] = []any{a.Generation, l.sites.of(client.ObjectKeyFromObject(a)).inventory != nil, a.Status.Unknown}
	}
	slices.SortFunc(m.mirrors, func(a, b v1alpha1.NutanixClusterSpec) int { return strings.Compare(a.Name, b.Name) })
	var err error
	m.objects, err = l.objects(ctx)
	return m.state, err
}

// moment is what the cache held at one moment. The objects are the cache's own, which nobody writes to.
type moment struct {
	fleet    string
	mirrors  []v1alpha1.NutanixClusterSpec
	accounts map[string][]any // what counts of each, by name
	objects  []objectOf
}

// state implements review.State.
func (m *moment) state(of review.About) (string, error) {
	accounts, clusters, objects := map[string][]any{}, []any{}, []string{}
	for _, name := range of.Accounts {
		accounts[name] = m.accounts[name]
	}
	for i := range m.mirrors {
		c := &m.mirrors[i]
		touched := slices.Contains(of.Clusters, c.Name)
		clusters = append(clusters, m.cluster(c, touched, of.Machines))
		if touched {
			accounts[c.Spec.AccountRef.Name] = m.accounts[c.Spec.AccountRef.Name]
		}
	}
	for _, o := range m.objects {
		if slices.Contains(of.Clusters, o.cluster) {
			objects = append(objects, fmt.Sprint(o.kind, o.Name, o.UID, o.Generation, o.DeletionTimestamp != nil))
		}
	}
	slices.Sort(objects)
	text, err := json.Marshal([]any{accounts, clusters, objects})
	return digestOf(string(text)), err
}

// objectOf is an object or machine of a cluster.
type objectOf struct {
	cluster, kind string
	*metav1.PartialObjectMetadata
}

// objects of all clusters of the namespace, and their machines.
func (l *liveReview) objects(ctx context.Context) ([]objectOf, error) {
	var found []objectOf
	for _, kind := range append(inventoryKinds, machineGVK) {
		label := v1alpha1.ClusterLabel
		if kind == machineGVK {
			label = "cluster.x-k8s.io/cluster-name"
		}
		all := &metav1.PartialObjectMetadataList{}
		all.SetGroupVersionKind(kind)
		if err := l.Watched.List(ctx, all, client.InNamespace(l.fleet.Namespace), client.HasLabels{label}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", resourceOf(kind), err)
		}
		for i := range all.Items {
			found = append(found, objectOf{all.Items[i].Labels[label], kind.Kind, &all.Items[i]})
		}
	}
	return found, nil
}

// cluster is what a plan depends on of one: touched, when it is about that one; machines, when limits count.
func (m *moment) cluster(c *v1alpha1.NutanixClusterSpec, touched, machines bool) any {
	owner := c.Annotations[v1alpha1.FleetAnnotation]
	state := []any{c.Name, owner, !c.DeletionTimestamp.IsZero()}
	if touched || owner == m.fleet {
		state = append(state, c.Annotations[v1alpha1.AcceptedDigestAnnotation], flow.Gone(c))
	}
	if machines && owner == m.fleet {
		state = append(state, underwayOf(c.Status.Outcome))
	}
	if touched {
		state = append(state, c.Generation, c.Status.Phase, c.Status.Drift, c.Status.Preflight, underwayOf(c.Status.Outcome),
			conditionOf(c, v1alpha1.PreflightPassedCondition))
	}
	return state
}

// underwayOf is what limits count of an accepted plan, all of it until it is carried out: nothing of it moves in between.
func underwayOf(o *v1alpha1.MachineOutcome) string {
	switch {
	case o == nil:
		return "not begun"
	case o.CarriedOut || o.PredictedRecreated+o.PredictedRemoved == 0:
		return ""
	}
	return fmt.Sprint(o.Revision, " ", o.PredictedRecreated, " ", o.PredictedRemoved)
}

// Review implements review.Live.
func (l *liveReview) Review(ctx context.Context, head, base *fleet.Fleet, offline bool) (planview.Report, error) {
	if offline {
		return flow.Review(ctx, head, base, flow.Scene{Public: true, Namespace: l.fleet.Namespace, Fleet: l.fleet})
	}
	s, err := l.fleets.look(ctx, l.fleet.DeepCopy())
	if err != nil {
		return planview.Report{}, err
	}
	return flow.Review(ctx, head, base, l.scene(s, head))
}

// scene is what is live, in the words of flow.
func (l *liveReview) scene(s *scene, head *fleet.Fleet) flow.Scene {
	mirrors := map[string]*v1alpha1.NutanixClusterSpec{}
	for i := range s.all {
		if s.all[i].Namespace == l.fleet.Namespace {
			mirrors[s.all[i].Name] = &s.all[i]
		}
	}
	account := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: l.fleet.Namespace, Name: name} }
	return flow.Scene{
		Public: true, Namespace: l.fleet.Namespace, Fleet: l.fleet, Mirrors: mirrors, Mirrored: s.mirrored(),
		Gather: func(c *v1alpha1.NutanixClusterSpec) flow.Gatherer {
			return kube.Cluster{
				Client: s.client, Reader: l.Reader, Namespace: l.fleet.Namespace, Name: c.Name,
				Ignore: c.Spec.DriftIgnore, Adopt: c.Spec.Adopt, Answers: l.answers, Public: true,
			}
		},
		Try: func(ctx context.Context, c, mirror *v1alpha1.NutanixClusterSpec) error {
			i := slices.IndexFunc(head.Clusters, func(d fleet.Cluster) bool { return d.Object.Name == c.Name })
			if i < 0 {
				return nil
			}
			declared := &head.Clusters[i]
			return s.dryRunMirror(ctx, mirror, &proposal{name: c.Name, declared: declared, inputs: fleet.InputsDigest(*declared)})
		},
		Sites: func(name string) (*site.Inventory, string) {
			if known := l.sites.of(account(name)).inventory; known != nil {
				return known, ""
			}
			return nil, "Prism Central has not answered yet; CloudAccount " + name + " says more"
		},
		Owned:    func(name string) map[string]bool { return l.compared.last(account(name)).owned },
		Underway: func(context.Context) (flow.Underway, error) { return s.underway(), nil },
	}
}

// underway is what was accepted and is not carried out.
func (s *scene) underway() flow.Underway {
	u := flow.Underway{Clusters: map[string]plan.Unfinished{}}
	for name, mirror := range s.mirrors {
		rec := s.records[name]
		if unfinished := rec.unfinished(); unfinished != nil {
			u.Clusters[name] = *unfinished
		}
		if rec.deleting(mirror) {
			u.Deleting++
		}
	}
	return u
}

// May implements review.Live.
func (l *liveReview) May(ctx context.Context, a v1alpha1.ReviewApprover) (bool, error) {
	asked := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: a.AsUser,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: l.fleet.Namespace, Verb: v1alpha1.ApproveVerb, Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version,
			Resource: "fleets", Name: l.fleet.Name,
		},
	}}
	if a.AsGroup != "" {
		asked.Spec.Groups = []string{a.AsGroup}
	}
	if err := l.Create(ctx, asked); err != nil {
		return false, err
	}
	return asked.Status.Allowed, nil // also where it could not all be evaluated: unknown is not yes
}

// Underway is what was accepted in a namespace and is not carried out, of the given clusters of one Fleet, by name. It
// takes the right to list Secrets.
func Underway(ctx context.Context, reader client.Reader, namespace string, mirrors map[string]*v1alpha1.NutanixClusterSpec) (flow.Underway, error) {
	all, err := records{reader: reader}.list(ctx, namespace)
	if err != nil {
		return flow.Underway{}, err
	}
	return (&scene{mirrors: mirrors, records: all}).underway(), nil
}
