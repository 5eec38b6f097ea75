package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
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

// State implements review.Live, out of the cache: what is accepted and how far it is carried out, of the whole Fleet, since
// limits sum over it; of the named clusters also their objects, by generation, their machines, and what drifted.
func (l *liveReview) State(ctx context.Context, clusters []string) (string, error) {
	mirrors := &v1alpha1.NutanixClusterSpecList{}
	if err := l.List(ctx, mirrors, client.InNamespace(l.fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return "", err
	}
	var seen []string
	for i := range mirrors.Items {
		text, err := json.Marshal(l.stateOf(&mirrors.Items[i], slices.Contains(clusters, mirrors.Items[i].Name)))
		if err != nil {
			return "", fmt.Errorf("looking at what is live: %w", err)
		}
		seen = append(seen, string(text))
	}
	if len(clusters) > 0 {
		objects, err := l.objectsOf(ctx, clusters)
		if err != nil {
			return "", err
		}
		seen = append(seen, objects...)
	}
	slices.Sort(seen)
	return digestOf(seen...), nil
}

// objectsOf says of each object and machine of clusters that it is there, and in which generation.
func (l *liveReview) objectsOf(ctx context.Context, clusters []string) ([]string, error) {
	var seen []string
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
			if o := &all.Items[i]; slices.Contains(clusters, o.Labels[label]) {
				seen = append(seen, fmt.Sprint(kind.Kind, o.Name, o.UID, o.Generation, o.DeletionTimestamp != nil))
			}
		}
	}
	return seen, nil
}

// stateOf is what a plan depends on of one cluster.
func (l *liveReview) stateOf(c *v1alpha1.NutanixClusterSpec, touched bool) any {
	state := []any{c.Name, c.Annotations[v1alpha1.FleetAnnotation], c.Annotations[v1alpha1.AcceptedDigestAnnotation], c.Status.Phase, c.DeletionTimestamp}
	if touched {
		account := client.ObjectKey{Namespace: c.Namespace, Name: c.Spec.AccountRef.Name}
		state = append(state, c.Generation, c.Status.Drift, c.Status.Preflight, l.sites.of(account).inventory != nil)
	}
	return state
}

// Review implements review.Live.
func (l *liveReview) Review(ctx context.Context, head, base *fleet.Fleet, offline bool) (planview.Report, error) {
	if offline {
		return flow.Review(ctx, head, base, flow.Scene{Namespace: l.fleet.Namespace, Fleet: l.fleet})
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
		Namespace: l.fleet.Namespace, Fleet: l.fleet, Mirrors: mirrors, Mirrored: s.mirrored(),
		Gather: func(c *v1alpha1.NutanixClusterSpec) flow.Gatherer {
			return kube.Cluster{
				Client: s.client, Reader: l.Reader, Namespace: l.fleet.Namespace, Name: c.Name,
				Ignore: c.Spec.DriftIgnore, Adopt: c.Spec.Adopt, Answers: l.answers,
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
