package kube

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// Compare pairs each wanted object with the live one and with what the API server would store: live reads and dry runs,
// nothing else. It is the part of Gather that names of templates are chosen by, before what refers to them is known.
//
// Pair.Want is what we have an opinion about: wanted without the fields that driftIgnore gives away. An object that
// exists and is not in the inventory is not even dry-run, unless Adopt is set and it is no other cluster's: Pair.Foreign
// names its managers.
func (c Cluster) Compare(ctx context.Context, want []*unstructured.Unstructured) ([]plan.Pair, error) {
	return c.compare(ctx, want, nil)
}

func (c Cluster) compare(ctx context.Context, want []*unstructured.Unstructured, known map[identity]*unstructured.Unstructured) ([]plan.Pair, error) {
	pairs := make([]plan.Pair, 0, len(want))
	for _, w := range want {
		live := known[identify(plan.RefOf(w))]
		if live == nil {
			var err error
			if live, err = c.get(ctx, plan.RefOf(w)); err != nil {
				return nil, err
			}
		}
		p, err := c.pair(ctx, w, live)
		for range maxOvertaken {
			if !errors.Is(err, errOvertaken) {
				break
			}
			if live, err = c.get(ctx, plan.RefOf(w)); err == nil {
				p, err = c.pair(ctx, w, live)
			}
		}
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func (c Cluster) pair(ctx context.Context, want, live *unstructured.Unstructured) (plan.Pair, error) {
	p := plan.Pair{Want: c.effective(want, live), Live: live}
	if live != nil && !InInventory(live, c.Name) {
		if !c.Adopt || anothers(live, c.Name) {
			p.Foreign = Managers(live)
			return p, nil
		}
		p.Adopt = true
	}
	stored, refused, err := c.dryRun(ctx, p.Want, live)
	if err != nil {
		return plan.Pair{}, err
	}
	if live != nil && stored != nil && stored.GetResourceVersion() != live.GetResourceVersion() {
		// Written between the two reads: that writing would look like a difference of ours.
		return plan.Pair{}, errOvertaken
	}
	p.DryRun, p.Refused = stored, refused
	return p, nil
}

// errOvertaken: an object was written while it was compared. It is compared again, maxOvertaken times.
var errOvertaken = errors.New("it was written while it was compared")

const maxOvertaken = 5

// Keeps says for each candidate, in order, whether that template or failure domain may keep the name that it carries: a
// candidate is the wanted content, with the annotation that holds its digest, under the name referred to now.
func (c Cluster) Keeps(ctx context.Context, candidates []*unstructured.Unstructured) ([]bool, error) {
	pairs, err := c.Compare(ctx, candidates)
	if err != nil {
		return nil, err
	}
	if len(pairs) != len(candidates) {
		return nil, fmt.Errorf("%d comparisons of %d templates", len(pairs), len(candidates))
	}
	kept := make([]bool, len(pairs))
	for i, p := range pairs {
		kept[i] = keeps(p, candidates[i].GetAnnotations()[v1alpha1.ContentDigestAnnotation])
	}
	return kept, nil
}

// keeps says whether a template or failure domain keeps its name: p compares the wanted content, under the name that is
// referred to now, with what is live. It does when nothing of the content would change, or when live carries the digest
// of that content from our last apply, so that only another hand's edit has to be put back. Otherwise it needs a new
// name, since Machines do not follow an edit in place.
func keeps(p plan.Pair, digest string) bool {
	if p.Live == nil || len(p.Foreign) > 0 {
		return false
	}
	if digest != "" && p.Live.GetAnnotations()[v1alpha1.ContentDigestAnnotation] == digest {
		return true
	}
	return p.DryRun != nil && reflect.DeepEqual(p.DryRun.Object["spec"], p.Live.Object["spec"])
}

// dryRun asks the API server, webhooks included, what applying want over live would store. The second result holds the
// words of a refusal.
func (c Cluster) dryRun(ctx context.Context, want, live *unstructured.Unstructured) (*unstructured.Unstructured, string, error) {
	stored, err := c.apply(ctx, want, live, client.DryRunAll)
	switch {
	case err == nil:
		return stored, "", nil
	case refusal(want, err) != "":
		return nil, refusal(want, err), nil
	case live == nil && namespaceMissing(err):
		// Nothing to ask: the namespace is created with the first real apply's surroundings, not by us.
		return nil, "", nil
	}
	return nil, "", fmt.Errorf("dry run of %s %s/%s: %w", want.GetKind(), want.GetNamespace(), want.GetName(), err)
}

// createOnly is a resource version that no object has: etcd's first write gets 2. An apply that carries it creates, and
// is answered with a conflict when there is something to merge into.
const createOnly = "1"

// apply sends one server-side apply. The UID of the object that was looked at is carried, so that the API server
// answers with a conflict, instead of creating a new object, once that one is gone or replaced. Where there was none,
// an object that appeared meanwhile is a conflict, too.
func (c Cluster) apply(ctx context.Context, want, live *unstructured.Unstructured, opts ...client.ApplyOption) (*unstructured.Unstructured, error) {
	o := want.DeepCopy()
	if live == nil {
		o.SetResourceVersion(createOnly)
	} else {
		o.SetUID(live.GetUID())
	}
	opts = append(opts, client.ForceOwnership, client.FieldOwner(v1alpha1.FieldManager))
	if err := c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), opts...); err != nil {
		return nil, err
	}
	return o, nil
}

// refusal are the words with which the API server, a webhook or an admission policy refused an object for what it says;
// empty when err is anything else. Words about a Secret are cut down to fields and kinds of mistake, since messages quote
// values.
func refusal(o *unstructured.Unstructured, err error) string {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) {
		return ""
	}
	s := status.Status()
	denied := s.Code == 403 && strings.Contains(s.Message, "denied the request")
	mistyped := strings.Contains(s.Message, "failed to create typed patch object") || strings.Contains(s.Message, "field not declared in schema")
	if s.Code != 422 && !denied && !mistyped && !apierrors.IsBadRequest(err) {
		return ""
	}
	if o.GetKind() != "Secret" {
		return s.Message
	}
	words := []string{"the API server refuses this Secret"}
	if s.Details != nil {
		for _, cause := range s.Details.Causes {
			words = append(words, fmt.Sprintf("%s (%s)", cause.Field, cause.Type))
		}
	}
	return strings.Join(words, ": ")
}

func namespaceMissing(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}
