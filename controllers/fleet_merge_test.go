package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kuberecord "k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	planview "github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/site"
)

// merge is a merge that makes three new workers for edge-01, as pull request #7 showed, in a Fleet whose limits allow
// nothing to be re-created.
type merge struct {
	*testing.T
	*FleetReconciler
	api client.WithWatch
	s   *scene
	now time.Time
	log *kuberecord.FakeRecorder
}

func newMerge(t *testing.T) *merge {
	t.Helper()
	m := &merge{T: t, api: stand(t, interceptor.Funcs{}), now: noon, log: kuberecord.NewFakeRecorder(10)}
	clock := func() time.Time { return m.now }
	m.FleetReconciler = &FleetReconciler{
		Client: m.api, Reader: m.api, Now: clock, Recorder: m.log, compared: &comparisons{},
		reviewed: review.Store{Client: m.api, Reader: m.api, Now: clock},
	}
	f := aFleet()
	f.Spec.Review = &v1alpha1.Review{Provider: v1alpha1.ReviewGitea, Approvers: []v1alpha1.ReviewApprover{{User: "alice", AsUser: "alice@example.com"}}}
	f.Spec.Limits.RecreatedMachines = new(int32)
	m.s = &scene{fleet: f, memory: m.remember(production), declared: &fleet.Fleet{Complete: true}, removals: map[string]*removal{}}
	m.holdsTree(m.s.memory, mergedTree)
	shown := review.Reviewed{
		Tree: mergedTree, Number: 7, Head: "c1", Digest: plan.FleetDigest(map[string]plan.Plan{"edge-01": threeWorkers()}),
		Clusters: map[string]review.Cluster{"edge-01": {Plan: threeWorkers()}},
		Capacity: []planview.Capacity{{
			Account: "pc-east", Element: "PE-1", Clusters: []string{"edge-01"}, NeedVCPUs: 4, NeedMemoryBytes: 8 << 30,
			FreeVCPUs: 64, FreeMemoryBytes: 210 << 30, Known: true,
		}},
	}
	if err := m.reviewed.Put(t.Context(), production, shown); err != nil {
		t.Fatal(err)
	}
	return m
}

func threeWorkers() plan.Plan {
	return plan.Plan{Cluster: "edge-01", Changes: []plan.Change{{
		Object: plan.Ref{Kind: "MachineDeployment", Name: "edge-01-workers"}, Action: plan.Update, Field: "spec.template", To: "x",
		Severity: v1alpha1.SeverityRollout, Machines: 3, Owner: "MachineDeployment/edge-01-workers",
	}}}
}

// workers are what the plan is made from.
func workers() []plan.Pair {
	size := map[string]any{
		"vcpuSockets": int64(4), "vcpusPerSocket": int64(1), "memorySize": "8Gi", "cluster": map[string]any{"type": "name", "name": "PE-1"},
	}
	template := &unstructured.Unstructured{Object: map[string]any{
		"kind": "NutanixMachineTemplate", "metadata": map[string]any{"name": "edge-01-workers-1"}, "spec": map[string]any{"template": map[string]any{"spec": size}},
	}}
	pool := &unstructured.Unstructured{Object: map[string]any{
		"kind": "MachineDeployment", "metadata": map[string]any{"name": "edge-01-workers"}, "spec": map[string]any{
			"replicas": int64(3), "template": map[string]any{"spec": map[string]any{"infrastructureRef": map[string]any{"name": "edge-01-workers-1"}}},
		},
	}}
	return []plan.Pair{{Want: template}, {Want: pool, Live: pool}}
}

// decided gates the merge anew and gives the word on edge-01.
func (m *merge) decided() plan.Decision {
	m.Helper()
	c := &v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: "edge-01"}}
	c.Spec.AccountRef.Name = "pc-east"
	m.s.proposed = map[string]*proposal{"edge-01": {
		name: "edge-01", cause: plan.CauseGit, declared: &fleet.Cluster{Object: c}, flow: flow.Proposal{Plan: threeWorkers(), Pairs: workers()},
	}}
	m.s.reviewed, m.s.unreadable = nil, ""
	if err := m.gate(m.Context(), m.s); err != nil {
		m.Fatal(err)
	}
	return m.s.proposed["edge-01"].decision
}

func (m *merge) want(reason string, words ...string) {
	m.Helper()
	d := m.decided()
	if d.Reason != reason {
		m.Errorf("%s, want %s: %s", d.Reason, reason, d.Message)
	}
	for _, w := range words {
		if !strings.Contains(d.Message, w) {
			m.Errorf("the message does not hold %q: %s", w, d.Message)
		}
	}
}

var word = review.Approval{User: "alice", AsUser: "alice@example.com", Commit: "c1", Proved: true}

// What was heard of approvals before the merge may have been taken back since: the forge is asked at once, and until it
// tells the plan waits.
func TestMergeWaitsForTheForge(t *testing.T) {
	m := newMerge(t)
	asked := 0
	m.hear = func(key client.ObjectKey) {
		if asked++; key != production {
			t.Errorf("asked about %s", key)
		}
	}
	m.s.fleet.Spec.Interval.Duration = time.Minute
	if err := m.reviewed.Approve(t.Context(), production, mergedTree, 7, []review.Approval{word}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.want(v1alpha1.LimitExceededReason, "Who approved pull request #7 counts once the forge calls it merged, which it is being asked")
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	m.now = noon.Add(time.Minute)
	if m.decided(); asked != 2 {
		t.Errorf("asked %d times an interval later: a forge may be down", asked)
	}
	if err := m.reviewed.Merge(t.Context(), production, mergedTree, 7, []review.Approval{word}); err != nil {
		t.Fatal(err)
	}
	if d := m.decided(); !d.ByReview {
		t.Errorf("%+v", d)
	}
	if err := m.reviewed.Merge(t.Context(), production, mergedTree, 7, nil); err != nil {
		t.Fatal(err)
	}
	m.now = noon.Add(time.Hour)
	if m.want(v1alpha1.LimitExceededReason, "When pull request #7 was merged, none of spec.review.approvers"); asked != 2 {
		t.Errorf("asked %d times, and the forge told already", asked)
	}
}

// Within the limits nobody's word is needed, and no forge is asked.
func TestMergeWithinLimitsAsksNobody(t *testing.T) {
	m := newMerge(t)
	m.hear = func(client.ObjectKey) { t.Error("the forge is asked") }
	m.s.fleet.Spec.Limits.RecreatedMachines = nil
	m.want(v1alpha1.AcceptedReason)
}

// What is kept of a review and cannot be read may have shown less: what the revision changes waits. It is told once, and
// stops nothing else.
func TestUnreadableReview(t *testing.T) {
	m := newMerge(t)
	m.s.fleet.Spec.Limits.RecreatedMachines = nil
	all := &corev1.SecretList{}
	if err := m.api.List(t.Context(), all); err != nil || len(all.Items) != 1 {
		t.Fatal(err, len(all.Items))
	}
	all.Items[0].Data["review"] = []byte("x")
	if err := m.api.Update(t.Context(), &all.Items[0]); err != nil {
		t.Fatal(err)
	}
	m.want(v1alpha1.ReviewRequiredReason, "Whether this was reviewed is not known", "Secret clusters/"+all.Items[0].Name, "delete it")
	if said := len(m.log.Events); said != 1 {
		t.Errorf("%d events", said)
	} else if event := <-m.log.Events; !strings.Contains(event, all.Items[0].Name) || !strings.Contains(event, "delete it") {
		t.Error(event)
	}
	if err := m.api.Delete(t.Context(), &all.Items[0]); err != nil {
		t.Fatal(err)
	}
	m.want(v1alpha1.AcceptedReason)
	m.s.fleet.Spec.Review.Required = true
	m.want(v1alpha1.ReviewRequiredReason, "Nobody reviewed this")
}

// An API server that is away is another matter: then nothing is decided.
func TestReviewThatCannotBeAskedFor(t *testing.T) {
	away := errors.New("away")
	m := newMerge(t)
	m.s.proposed = map[string]*proposal{"edge-01": {}}
	m.reviewed.Reader = stand(t, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return away }})
	if err := m.gate(t.Context(), m.s); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
}

// room gives Prism Central one host of so many GiB.
func (m *merge) room(gib int64) {
	read := &site.Inventory{At: m.now, Elements: []site.Element{{
		ExtID: "pe-1", Name: "PE-1", Hosts: []site.Host{{ExtID: "h-1", Cores: 32, Threads: 64, MemoryBytes: gib << 30}},
	}}}
	m.sites = &sites{now: m.Now, keepers: map[client.ObjectKey]*keeper{{Namespace: clusters, Name: "pc-east"}: {seen: sight{inventory: read}}}}
}

// What was shown to fit and does not any more is held, until there is room again or somebody approves who was told.
func TestRoomThatIsGone(t *testing.T) {
	m := newMerge(t)
	m.s.fleet.Spec.Limits.RecreatedMachines = nil
	gone := "Since pull request #7 there is less room: PE-1: needs 12 vCPU, 24 GiB at peak; 64 vCPU, 210 GiB were free at the review, 128 vCPU, 6 GiB are free now."
	m.room(64)
	m.want(v1alpha1.AcceptedReason)
	m.room(6)
	m.want(v1alpha1.ReviewedPlanExceededReason, gone, "refract approve cluster/edge-01 "+threeWorkers().Digest())
	if err := m.reviewed.Merge(t.Context(), production, mergedTree, 7, []review.Approval{word}); err != nil {
		t.Fatal(err)
	}
	m.want(v1alpha1.ReviewedPlanExceededReason, gone)

	m.s.fleet.Spec.Preflight.Capacity = v1alpha1.PreflightOff
	m.want(v1alpha1.AcceptedReason)
	m.s.fleet.Spec.Preflight.Capacity = v1alpha1.PreflightWarn

	m.s.fleet.Annotations = map[string]string{v1alpha1.ApprovedPlanAnnotation: m.s.gated.Digest, v1alpha1.ApprovedByAnnotation: "jo"}
	m.want(v1alpha1.ReviewedPlanExceededReason)
	m.s.fleet.Annotations[v1alpha1.ApprovedPlanAnnotation] = m.s.gated.Digest
	m.s.fleet.Status.Plan = v1alpha1.PlanStatus{Digest: m.s.gated.Digest, RecordedAt: &metav1.Time{Time: noon}}
	m.want(v1alpha1.AcceptedReason)
	m.s.fleet.Annotations = nil

	m.sites = &sites{now: m.Now}
	m.want(v1alpha1.AcceptedReason) // not known: the cluster's own preflight decides
	m.room(64)
	m.want(v1alpha1.AcceptedReason)
}

// What did not fit when it was shown is no news.
func TestRoomThatNeverWas(t *testing.T) {
	now := []planview.Capacity{
		{Account: "a", Element: "PE-1", Clusters: []string{"edge-01", "edge-02"}, NeedVCPUs: 8, FreeVCPUs: 4, Known: true, OneHostLost: true},
		{Account: "b", Element: "PE-1", Clusters: []string{"edge-03"}, NeedVCPUs: 8, FreeVCPUs: 4, Known: true},
	}
	for name, c := range map[string]struct {
		shown planview.Capacity
		want  []string
	}{
		"Fitted":       {planview.Capacity{Account: "a", Element: "PE-1", NeedVCPUs: 8, FreeVCPUs: 16, Known: true}, []string{"edge-01", "edge-02"}},
		"DidNotFit":    {planview.Capacity{Account: "a", Element: "PE-1", NeedVCPUs: 8, FreeVCPUs: 7, Known: true}, nil},
		"WasNotKnown":  {planview.Capacity{Account: "a", Element: "PE-1", NeedVCPUs: 8}, nil},
		"WasElsewhere": {planview.Capacity{Account: "a", Element: "PE-2", NeedVCPUs: 8, FreeVCPUs: 16, Known: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for cluster, words := range roomless(now, []planview.Capacity{c.shown}) {
				got = append(got, cluster)
				if len(words) != 1 || !strings.HasSuffix(words[0], "16 vCPU, 0 GiB were free at the review, 4 vCPU, 0 GiB are free now with one host lost") {
					t.Errorf("%s: %v", cluster, words)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// A trailer approves what was shown for a week, wherever that was; what nobody was shown has no such time.
func TestTrailersExpire(t *testing.T) {
	m := newMerge(t)
	later, week := noon.Add(24*time.Hour), noon.Add(180*time.Hour)
	if m.decided(); m.s.reviewed == nil {
		t.Fatal("not reviewed")
	}
	for _, digest := range []string{threeWorkers().Digest(), m.s.reviewed.Digest} {
		if m.s.void(digest, later) || !m.s.void(digest, week) {
			t.Errorf("%s is void a day later: %t, a week later: %t", digest, m.s.void(digest, later), m.s.void(digest, week))
		}
	}
	if m.s.void("sha256:other", week) {
		t.Error("what was never shown is void")
	}
	m.s.mirrors = map[string]*v1alpha1.NutanixClusterSpec{"edge-01": aMirror("edge-01")}
	m.s.records = map[string]record{"edge-01": {Held: &entry{Digest: threeWorkers().Digest(), RecordedAt: metav1.Time{Time: later}}}}
	if m.s.void(threeWorkers().Digest(), week) {
		t.Error("held and shown a week less a day ago")
	}
}
