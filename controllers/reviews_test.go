package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/gitsource/forge"
)

const forgeToken = "a-token-that-nobody-may-read"

// aReviewer reviews a Fleet whose forge is at address. The management cluster is supported.
func aReviewer(t *testing.T, address string, hooks interceptor.Funcs, more ...client.Object) (*ReviewReconciler, client.Client) {
	t.Helper()
	f := aFleet()
	f.Spec.Git = v1alpha1.GitSource{URL: "file:///nowhere/platform/clusters.git", Path: "./"}
	f.Spec.Review = &v1alpha1.Review{
		Provider: v1alpha1.ReviewGitea, Address: address, Repository: "platform/clusters", SecretRef: &v1alpha1.LocalReference{Name: "forge"},
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: "forge"}, Data: map[string][]byte{"token": []byte(forgeToken)}}
	c := stand(t, hooks, append([]client.Object{f, secret}, more...)...)
	now := func() time.Time { return noon }
	m := newMetrics(now, "test")
	return &ReviewReconciler{
		Client: c, Reader: c, Watched: c, Now: now, metrics: m, sites: &sites{}, compared: &comparisons{}, woken: newAsks(),
		fleets:   &FleetReconciler{Client: c, Reader: c, Now: now, support: &support{ok: true}},
		sources:  &sources{reader: c, allowFileURLs: true, allowInsecure: true, metrics: m},
		reviewer: &review.Reviewer{Now: now, Store: review.Store{Client: c, Reader: c, Now: now}},
	}, c
}

func (r *ReviewReconciler) once(t *testing.T) (ctrl.Result, error) {
	t.Helper()
	return r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(aFleet())})
}

func reviews(t *testing.T, c client.Client) *metav1.Condition {
	t.Helper()
	f := &v1alpha1.Fleet{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(aFleet()), f); err != nil {
		t.Fatal(err)
	}
	return conditionOf(f, v1alpha1.ReviewsPostedCondition)
}

// What a forge answers, what the Fleet then says of it, and when the next look is.
func TestForgeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		reason string
		retry  bool
		after  time.Duration
	}{
		"NothingOpen":  {200, nil, "[]", v1alpha1.SucceededReason, false, 24 * time.Hour},
		"WrongToken":   {401, nil, `{"message":"token ` + forgeToken + ` is not valid"}`, v1alpha1.AuthenticationFailedReason, false, 24 * time.Hour},
		"NoRepository": {404, nil, `{"message":"not found"}`, v1alpha1.ForgeRefusedReason, false, 24 * time.Hour},
		"Down":         {502, nil, "", v1alpha1.ForgeUnreachableReason, true, 0},
		"NoAPI":        {200, nil, "<html>", v1alpha1.ForgeUnreachableReason, true, 0},
		"Limited":      {429, http.Header{"Retry-After": {"1800"}}, `{"message":"slow down"}`, v1alpha1.RateLimitedReason, false, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				if strings.HasSuffix(r.URL.Path, "/version") {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"version":"1.25.0"}`))
					return
				}
				w.Header().Set("Content-Type", map[bool]string{true: "application/json", false: "text/html"}[c.body == "" || !strings.HasPrefix(c.body, "<")])
				for name := range c.header {
					w.Header().Set(name, c.header.Get(name))
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(host.Close)
			r, api := aReviewer(t, host.URL, interceptor.Funcs{})
			result, err := r.once(t)
			if (err != nil) != c.retry || result.RequeueAfter != c.after {
				t.Errorf("%v, %v", result, err)
			}
			said := reviews(t, api)
			if said == nil || said.Reason != c.reason || (said.Status == metav1.ConditionTrue) != (c.reason == v1alpha1.SucceededReason) {
				t.Fatalf("the Fleet says %+v", said)
			}
			if strings.Contains(said.Message+fmt.Sprint(err), forgeToken) {
				t.Errorf("the token is told: %s", said.Message)
			}
			before := calls
			if _, err = r.once(t); c.reason == v1alpha1.RateLimitedReason && calls != before {
				t.Errorf("%v, and a forge that wants to be left alone got %d calls", err, calls-before)
			}
		})
	}
}

// A forge that wants to be left alone for longer than the interval is.
func TestReviewWaitsForTheForge(t *testing.T) {
	f := aFleet()
	f.Spec.Interval.Duration = time.Minute
	for name, c := range map[string]struct {
		err    error
		reason string
		after  time.Duration
	}{
		"Longer":      {fmt.Errorf("listing: %w", &forge.RateLimited{Until: noon.Add(time.Hour)}), v1alpha1.RateLimitedReason, time.Hour + time.Second},
		"Shorter":     {&forge.RateLimited{Until: noon.Add(time.Second)}, v1alpha1.RateLimitedReason, time.Minute},
		"AmongOthers": {errors.Join(forge.ErrUnreachable, &forge.RateLimited{Until: noon.Add(time.Hour)}), v1alpha1.RateLimitedReason, time.Hour + time.Second},
		"NoBranch":    {stall(v1alpha1.NoBranchReason, "x"), v1alpha1.NoBranchReason, time.Minute},
		"GitRefuses":  {fmt.Errorf("pull request #7: %w", gitsource.ErrAuth), v1alpha1.AuthenticationFailedReason, time.Minute},
		"Unsupported": {wait(v1alpha1.UnsupportedReason, time.Second, "x"), v1alpha1.UnsupportedReason, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			said, after, err := concludeReview(f, c.err, noon)
			if said.Reason != c.reason || after != c.after || err != nil || said.Status != metav1.ConditionFalse {
				t.Errorf("%+v after %s, %v", said, after, err)
			}
		})
	}
	for name, broken := range map[string]error{
		"Git": retry(v1alpha1.RepositoryUnreachableReason, gitsource.ErrUnreachable), "Plan": errors.New("the API server is away"), "Forge": forge.ErrUnreachable,
	} {
		if _, _, err := concludeReview(f, broken, noon); !errors.Is(err, broken) {
			t.Errorf("%s is not tried again: %v", name, err)
		}
	}
}

// The condition comes, stays unwritten while it is the same, and goes with spec.review.
func TestReviewCondition(t *testing.T) {
	writes := 0
	r, api := aReviewer(t, "https://forge.invalid", interceptor.Funcs{
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			writes++
			return c.SubResource(sub).Apply(ctx, o, opts...)
		},
	})
	edit := func(change func(f *v1alpha1.Fleet)) {
		f := &v1alpha1.Fleet{}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(aFleet()), f); err != nil {
			t.Fatal(err)
		}
		change(f)
		if err := api.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(f *v1alpha1.Fleet) { f.Spec.Git.Ref = v1alpha1.GitRef{Tag: "v1"} })
	for range 2 {
		if result, err := r.once(t); err != nil || result.RequeueAfter != 24*time.Hour {
			t.Fatalf("%v, %v", result, err)
		}
	}
	if said := reviews(t, api); said == nil || said.Reason != v1alpha1.NoBranchReason || writes != 1 {
		t.Errorf("%+v after %d writes", said, writes)
	}
	edit(func(f *v1alpha1.Fleet) { f.Spec.Suspend = true })
	if result, err := r.once(t); err != nil || result.RequeueAfter != 0 || reviews(t, api).Reason != v1alpha1.SuspendedReason {
		t.Errorf("%v, %v, %+v", result, err, reviews(t, api))
	}
	edit(func(f *v1alpha1.Fleet) { f.Spec.Review = nil })
	for range 2 {
		if result, err := r.once(t); err != nil || result.RequeueAfter != 0 {
			t.Errorf("%v, %v", result, err)
		}
	}
	if said := reviews(t, api); said != nil || writes != 3 {
		t.Errorf("%+v after %d writes", said, writes)
	}
}

// The Fleet controller writes its status without the reviewer's condition, which another writes at the same time.
func TestFleetLeavesTheReviewersCondition(t *testing.T) {
	f := aFleet()
	set(f, v1alpha1.ReviewsPostedCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, "x")
	set(f, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, "y")
	withoutReview(f)
	if conditionOf(f, v1alpha1.ReviewsPostedCondition) != nil || conditionOf(f, v1alpha1.ReadyCondition) == nil {
		t.Errorf("%+v", f.Status.Conditions)
	}
}

// Who may approve is asked of Kubernetes, for this Fleet by name.
func TestMay(t *testing.T) {
	var asked authorizationv1.SubjectAccessReviewSpec
	r, _ := aReviewer(t, "https://forge.invalid", interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			sar := o.(*authorizationv1.SubjectAccessReview)
			asked, sar.Status.Allowed = sar.Spec, sar.Spec.User == "ada@example.com"
			sar.Status.EvaluationError = "a role is missing"
			return nil
		},
	})
	l := &liveReview{ReviewReconciler: r, fleet: aFleet()}
	for _, c := range []struct {
		who v1alpha1.ReviewApprover
		may bool
	}{
		{v1alpha1.ReviewApprover{User: "ada", AsUser: "ada@example.com"}, true},
		{v1alpha1.ReviewApprover{Team: "platform/owners", AsGroup: "owners"}, false},
	} {
		may, err := l.May(t.Context(), c.who)
		if err != nil || may != c.may {
			t.Errorf("%+v: %t, %v", c.who, may, err)
		}
		a := asked.ResourceAttributes
		if a.Verb != "approve" || a.Group != "refract.dev" || a.Resource != "fleets" || a.Namespace != clusters || a.Name != "production" {
			t.Errorf("asked about %+v", a)
		}
	}
	if len(asked.Groups) != 1 || asked.User != "" {
		t.Errorf("asked about %+v", asked)
	}
}

// What makes a plan about edge-01 stale, and what does not.
func TestState(t *testing.T) {
	on := func(o []client.Object, i int, change func(c *v1alpha1.NutanixClusterSpec)) []client.Object {
		change(o[i].(*v1alpha1.NutanixClusterSpec))
		return o
	}
	mirror := func(name string) *v1alpha1.NutanixClusterSpec {
		c := aMirror(name)
		c.Annotations[v1alpha1.AcceptedDigestAnnotation] = name
		c.Spec.AccountRef.Name = name
		c.Status.Phase, c.Status.Outcome = v1alpha1.PhaseRunning, &v1alpha1.MachineOutcome{Revision: "a", PredictedRecreated: 3, Recreated: 3, CarriedOut: true}
		return c
	}
	template := func(name, cluster string) *metav1.PartialObjectMetadata {
		o := partial(infrastructure("NutanixMachineTemplate"))
		o.Namespace, o.Name, o.Generation = clusters, name, 1
		o.Labels = map[string]string{v1alpha1.ClusterLabel: cluster}
		return o
	}
	account := func(name string) *v1alpha1.CloudAccount {
		a := &v1alpha1.CloudAccount{}
		a.Namespace, a.Name = clusters, name
		return a
	}
	state := func(t *testing.T, of review.About, objects ...client.Object) string {
		t.Helper()
		r, _ := aReviewer(t, "https://forge.invalid", interceptor.Funcs{}, objects...)
		state, err := (&liveReview{ReviewReconciler: r, fleet: aFleet()}).State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		digest, err := state(of)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	rolling := &v1alpha1.MachineOutcome{Revision: "b", PredictedRecreated: 3}
	further := &v1alpha1.MachineOutcome{Revision: "b", PredictedRecreated: 3, Recreated: 2}
	lost := []v1alpha1.UnknownPart{{Part: "Hosts", Reason: "refused"}}
	for name, c := range map[string]struct {
		change func(o []client.Object) []client.Object
		// stale is a plan that touches no machine, rolling one that does.
		stale, rolling bool
	}{
		"Nothing":           {func(o []client.Object) []client.Object { return o }, false, false},
		"EditOfItsTemplate": {func(o []client.Object) []client.Object { o[2].SetGeneration(2); return o }, true, true},
		"ItsTemplateGone":   {func(o []client.Object) []client.Object { return append(o[:2], o[3:]...) }, true, true},
		"EditOfAnothers":    {func(o []client.Object) []client.Object { o[3].SetGeneration(2); return o }, false, false},
		"AnotherGone":       {func(o []client.Object) []client.Object { return append(o[:1], o[2:]...) }, true, true},
		"ItsAccount":        {func(o []client.Object) []client.Object { o[4].(*v1alpha1.CloudAccount).Status.Unknown = lost; return o }, true, true},
		"AnothersAccount":   {func(o []client.Object) []client.Object { o[5].(*v1alpha1.CloudAccount).Status.Unknown = lost; return o }, false, false},
		"AcceptedAnew": {func(o []client.Object) []client.Object {
			o[0].GetAnnotations()[v1alpha1.AcceptedDigestAnnotation] = "c"
			return o
		}, true, true},
		"AnotherAcceptedAnew": {func(o []client.Object) []client.Object {
			o[1].GetAnnotations()[v1alpha1.AcceptedDigestAnnotation] = "c"
			return o
		}, true, true},
		"ItsPhase": {func(o []client.Object) []client.Object {
			return on(o, 0, func(c *v1alpha1.NutanixClusterSpec) { c.Status.Phase = v1alpha1.PhaseUpdating })
		}, true, true},
		"AnothersPhase": {func(o []client.Object) []client.Object {
			return on(o, 1, func(c *v1alpha1.NutanixClusterSpec) { c.Status.Phase = v1alpha1.PhaseDegraded })
		}, false, false},
		"AnothersDrift": {func(o []client.Object) []client.Object {
			return on(o, 1, func(c *v1alpha1.NutanixClusterSpec) { c.Status.Drift = []v1alpha1.DriftFinding{{Object: "VM x"}} })
		}, false, false},
		"AnotherRolls": {func(o []client.Object) []client.Object {
			return on(o, 1, func(c *v1alpha1.NutanixClusterSpec) { c.Status.Outcome = rolling })
		}, false, true},
		"AnotherFleetsRolls": {func(o []client.Object) []client.Object {
			return on(o, 6, func(c *v1alpha1.NutanixClusterSpec) { c.Status.Outcome = rolling })
		}, false, false},
		"AnotherFleetAccepts": {func(o []client.Object) []client.Object {
			o[6].GetAnnotations()[v1alpha1.AcceptedDigestAnnotation] = "c"
			return o
		}, false, false},
		"AnotherFleetsGone": {func(o []client.Object) []client.Object { return o[:6] }, true, true},
		"AnotherDeletedElsewhere": {func(o []client.Object) []client.Object {
			return on(o, 1, func(c *v1alpha1.NutanixClusterSpec) {
				set(c, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ClusterDeletedElsewhereReason, "gone")
			})
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			base := func() []client.Object {
				stranger := mirror("other-01")
				stranger.Annotations[v1alpha1.FleetAnnotation] = "staging"
				return []client.Object{
					mirror("edge-01"), mirror("edge-02"), template("t1", "edge-01"), template("t2", "edge-02"), account("edge-01"), account("edge-02"), stranger,
				}
			}
			for machines, stale := range map[bool]bool{false: c.stale, true: c.rolling} {
				of := review.About{Clusters: []string{"edge-01"}, Machines: machines}
				if changed := state(t, of, c.change(base())...) != state(t, of, base()...); changed != stale {
					t.Errorf("a plan that touches machines (%t) is stale: %t", machines, changed)
				}
			}
		})
	}
	// What is left to do of a roll counts in full until it is done.
	of := review.About{Machines: true}
	begun, goes := mirror("edge-02"), mirror("edge-02")
	begun.Status.Outcome, goes.Status.Outcome = rolling, further
	if state(t, of, begun) != state(t, of, goes) {
		t.Error("a machine that another cluster re-created makes plans stale")
	}
}
