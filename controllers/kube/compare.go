package kube

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
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
		p, err := c.settledPair(ctx, w, live)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// settledPair looks again while others write.
func (c Cluster) settledPair(ctx context.Context, want, live *unstructured.Unstructured) (plan.Pair, error) {
	p, err := c.pair(ctx, want, live)
	for range maxOvertaken {
		if !errors.Is(err, errOvertaken) {
			break
		}
		if live, err = c.get(ctx, plan.RefOf(want)); err == nil {
			p, err = c.pair(ctx, want, live)
		}
	}
	return p, err
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
	return p.DryRun != nil && reflect.DeepEqual(measured(p.DryRun.Object["spec"]), measured(p.Live.Object["spec"]))
}

// quantities are fields of NutanixMachineTemplates that say the same in several ways, 8192Mi and 8Gi.
var quantities = []string{"memorySize", "systemDiskSize", "diskSize"}

// measured is a copy of a value with its quantities in one form.
func measured(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[name] = measured(value)
			if text, ok := value.(string); ok && slices.Contains(quantities, name) {
				if q, err := resource.ParseQuantity(text); err == nil {
					out[name] = q.AsDec().String()
				}
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = measured(item)
		}
		return out
	}
	return v
}

// dryRun asks the API server, webhooks included, what applying want over live would store. The second result holds the
// words of a refusal.
func (c Cluster) dryRun(ctx context.Context, want, live *unstructured.Unstructured) (*unstructured.Unstructured, string, error) {
	if known := c.Answers.recall(want, live); known != nil {
		return known, "", nil
	}
	stored, err := c.apply(ctx, want, live, client.DryRunAll)
	switch {
	case err == nil:
		if live == nil || stored.GetResourceVersion() == live.GetResourceVersion() {
			c.Answers.learn(want, live, stored)
		}
		return stored, "", nil
	case c.refusal(want, err) != "":
		return nil, c.refusal(want, err), nil
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

func namespaceMissing(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}
