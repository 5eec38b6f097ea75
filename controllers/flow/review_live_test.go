package flow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// nothing is an API server on which no cluster is, or one that answers with an error.
type nothing struct{ err error }

func (nothing) Live(context.Context, []plan.Ref) (map[plan.Ref]*unstructured.Unstructured, error) {
	return map[plan.Ref]*unstructured.Unstructured{}, nil
}

func (nothing) Keeps(_ context.Context, templates []*unstructured.Unstructured) ([]bool, error) {
	return make([]bool, len(templates)), nil
}

func (n nothing) Gather(_ context.Context, want []*unstructured.Unstructured) ([]plan.Pair, error) {
	var pairs []plan.Pair
	for _, o := range want {
		pairs = append(pairs, plan.Pair{Want: o, DryRun: o})
	}
	return pairs, n.err
}

// liveScene has edge-00 of declared accepted; edge-01 answers with an error.
func liveScene(declared *fleet.Fleet, err error) flow.Scene {
	f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "production"}}
	accepted := declared.Clusters[0].Object.DeepCopy()
	accepted.Namespace = "here"
	accepted.Annotations = map[string]string{
		v1alpha1.FleetAnnotation: "production", v1alpha1.SourceAnnotation: flow.Source(f),
		v1alpha1.AcceptedDigestAnnotation: fleet.InputsDigest(declared.Clusters[0]),
	}
	return flow.Scene{
		Namespace: "here", Fleet: f, Mirrors: map[string]*v1alpha1.NutanixClusterSpec{"edge-00": accepted},
		Mirrored: flow.Mirrored{Namespace: "here", Clusters: []v1alpha1.NutanixClusterSpec{*accepted}},
		Gather: func(c *v1alpha1.NutanixClusterSpec) flow.Gatherer {
			if c.Name == "edge-01" {
				return nothing{err: err}
			}
			return nothing{}
		},
	}
}

// TestReviewLive plans what is not accepted, says what the base asks for already, and lets one cluster's trouble be its own.
func TestReviewLive(t *testing.T) {
	denied := apierrors.NewForbidden(schema.GroupResource{Resource: "clusters"}, "edge-01", errors.New("no right"))
	for name, c := range map[string]struct {
		reason   string
		err      error
		base     *fleet.Fleet
		head     func(files)
		want     []string
		mistakes int
		fails    string
	}{
		"Accepted": {
			reason: "what is accepted is not asked about", want: []string{"edge-01 InPlace recreated=0 removed=0", "edge-02 InPlace recreated=0 removed=0"},
		},
		"Pending": {
			reason: "what the base asks for already is not this change's doing", base: threeClusters().decode(),
			want: []string{"edge-01 InPlace recreated=0 removed=0 pending", "edge-02 InPlace recreated=0 removed=0 pending"},
		},
		"Gone": {
			reason: "a cluster of the Fleet that is not declared any more", head: func(f files) { delete(f, "edge-00.yaml") },
			want: []string{"edge-00 None recreated=0 removed=0 kept", "edge-01 InPlace recreated=0 removed=0", "edge-02 InPlace recreated=0 removed=0"},
		},
		"Denied": {
			reason: "a request that is refused is a mistake of its cluster, and the others go on", err: denied, mistakes: 1,
			want: []string{"edge-02 InPlace recreated=0 removed=0"},
		},
		"Away": {reason: "nothing follows from an API server that does not answer", err: errors.New("connection refused"), fails: "planning cluster edge-01: "},
	} {
		t.Run(name, func(t *testing.T) {
			head := threeClusters()
			if c.head != nil {
				c.head(head)
			}
			r, err := flow.Review(t.Context(), head.decode(), c.base, liveScene(threeClusters().decode(), c.err))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || len(r.Clusters) > 0 {
					t.Errorf("%s: %v, %q", c.reason, err, verdicts(r))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := verdicts(r); !slices.Equal(got, c.want) || len(r.Mistakes) != c.mistakes || r.Predicted {
				t.Errorf("%s: says %q, want %q; mistakes %v", c.reason, got, c.want, r.Mistakes)
			}
			if len(r.Capacity) != 1 || r.Capacity[0].Known || r.Capacity[0].NeedVCPUs == 0 {
				t.Errorf("%s: want what is needed, and that what is free is not known: %+v", c.reason, r.Capacity)
			}
		})
	}
}

// TestReviewRoomFromStatus takes what is free from the account's status, and says that a host may be lost only where one
// is left then.
func TestReviewRoomFromStatus(t *testing.T) {
	for name, c := range map[string]struct {
		hosts, resting int32
		lost           bool
	}{
		"Several":       {hosts: 3, lost: true},
		"OneOfSeveral":  {hosts: 3, resting: 1, lost: true},
		"AllButOneRest": {hosts: 2, resting: 1},
		"Single":        {hosts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := liveScene(threeClusters().decode(), nil)
			a := v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "pc-east", Annotations: s.Mirrors["edge-00"].Annotations}}
			a.Status.Elements = []v1alpha1.ElementStatus{{
				Name: "PE-1", Hosts: &c.hosts, HostsInMaintenance: &c.resting, SpareVCPUs: new(int32(64)), SpareMemory: new(resource.MustParse("210Gi")),
			}}
			s.Mirrored.Accounts = []v1alpha1.CloudAccount{a}
			r, err := flow.Review(t.Context(), threeClusters().decode(), nil, s)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Capacity) != 1 || !r.Capacity[0].Known || r.Capacity[0].FreeVCPUs != 64 || r.Capacity[0].OneHostLost != c.lost {
				t.Errorf("capacity is %+v, want one host lost: %t", r.Capacity, c.lost)
			}
		})
	}
}

// TestReviewUnderway asks what is accepted and not carried out; unknown is not nothing.
func TestReviewUnderway(t *testing.T) {
	base, head := threeClusters(), threeClusters()
	base.in(t, "edge-01.yaml", "memory: 4Gi", "memory: 8Gi")
	s := liveScene(head.decode(), nil)
	s.Underway = func(context.Context) (flow.Underway, error) {
		return flow.Underway{Clusters: map[string]plan.Unfinished{"edge-00": {Recreated: 100}}}, nil
	}
	r, err := flow.Review(t.Context(), head.decode(), base.decode(), s)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.Note, "is not known here") || len(r.Clusters) != 2 {
		t.Errorf("note %q, clusters %q", r.Note, verdicts(r))
	}
	s.Underway = func(context.Context) (flow.Underway, error) { return flow.Underway{}, errors.New("connection refused") }
	if _, err := flow.Review(t.Context(), head.decode(), base.decode(), s); err == nil {
		t.Error("what could not be read counts as nothing")
	}
}

// TestPublicReview repeats nobody's words but those about Refract's own kinds, and not at any length.
func TestPublicReview(t *testing.T) {
	kind := schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "NutanixClusterSpec"}
	webhook := apierrors.NewForbidden(schema.GroupResource{}, "edge-01", errors.New(`admission webhook "x" denied the request: payroll has it`))
	policy := apierrors.NewInvalid(kind, "edge-01", field.ErrorList{field.Forbidden(nil, `policy 'p' denied request: payroll has it`)})
	own := apierrors.NewInvalid(kind, "edge-01", field.ErrorList{field.Invalid(field.NewPath("spec", "network"), "x", "never changes; "+strings.Repeat("payroll ", 1000))})
	rights := apierrors.NewForbidden(schema.GroupResource{Resource: "clusters"}, "edge-01", errors.New(`User "system:serviceaccount:payroll:refract" cannot patch`))
	for name, c := range map[string]struct {
		gather, try error
		shown       string
		hidden      bool
	}{
		"Webhook":       {try: webhook, shown: "403 Forbidden", hidden: true},
		"Policy":        {try: policy, shown: "refused: " + plan.Unshown, hidden: true},
		"OwnKind":       {try: own, shown: "spec.network: Invalid value"},
		"Rights":        {gather: rights, shown: "403 Forbidden", hidden: true},
		"RightsWrapped": {gather: fmt.Errorf("dry run: %w", rights), shown: "`refract plan` shows it", hidden: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, public := range []bool{false, true} {
				s := liveScene(threeClusters().decode(), c.gather)
				s.Public = public
				s.Try = func(_ context.Context, one, _ *v1alpha1.NutanixClusterSpec) error {
					if one.Name == "edge-01" {
						return c.try
					}
					return nil
				}
				r, err := flow.Review(t.Context(), threeClusters().decode(), nil, s)
				if err != nil {
					t.Fatal(err)
				}
				said := ""
				for _, m := range r.Mistakes {
					said += m.Message
				}
				for _, one := range r.Clusters {
					if one.Decision != nil {
						said += one.Decision.Message
					}
				}
				switch {
				case !public && !strings.Contains(said, "payroll"):
					t.Errorf("who asks for himself is told %q", said)
				case public && (strings.Contains(said, "payroll") == c.hidden || !strings.Contains(said, c.shown) || len(said) > 1000):
					t.Errorf("everybody is told %q", said)
				}
			}
		})
	}
}
