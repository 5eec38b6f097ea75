package review

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

var (
	noon       = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	production = client.ObjectKey{Namespace: "clusters", Name: "production"}
)

const (
	tree  = "1111111111111111111111111111111111111111"
	other = "2222222222222222222222222222222222222222"
)

// desk is a Store over an API server in memory, with a clock to turn.
type desk struct {
	Store
	t      *testing.T
	api    client.WithWatch
	now    time.Time
	writes int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, now: noon}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	d.api = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			d.writes++
			return c.Create(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			d.writes++
			return c.Patch(ctx, o, p, opts...)
		},
	}).Build()
	d.Store = Store{Client: d.api, Reader: d.api, Now: func() time.Time { return d.now }}
	return d
}

func (d *desk) secrets() []corev1.Secret {
	d.t.Helper()
	all := &corev1.SecretList{}
	if err := d.api.List(d.t.Context(), all); err != nil {
		d.t.Fatal(err)
	}
	return all.Items
}

func (d *desk) put(r Reviewed) {
	d.t.Helper()
	if err := d.Put(d.t.Context(), production, r); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) approve(hash string, approvals ...Approval) {
	d.t.Helper()
	if err := d.Approve(d.t.Context(), production, hash, 7, approvals); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) get(hash string) *Reviewed {
	d.t.Helper()
	r, err := d.Shown(d.t.Context(), production, hash, 7)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// rolling is a plan that re-creates so many machines.
func rolling(cluster string, machines int) plan.Plan {
	return plan.Plan{Cluster: cluster, Changes: []plan.Change{{
		Object: plan.Ref{APIVersion: "v1", Kind: "KubeadmControlPlane", Namespace: "clusters", Name: cluster + "-kcp"}, Action: plan.Update,
		Field: "spec.version", From: "v1.34.0", To: "v1.34.1", Severity: v1alpha1.SeverityRollout, Machines: machines, Owner: "KubeadmControlPlane/" + cluster + "-kcp",
	}}}
}

func pull(hash string, plans ...plan.Plan) Reviewed {
	r := Reviewed{
		Tree: hash, Number: 7, URL: "https://forge.example.com/o/r/pulls/7", Title: "Upgrade", Head: "c1", Base: "b1",
		Clusters: map[string]Cluster{}, Capacity: []view.Capacity{{Account: "pc-east", Element: "PE-1", NeedVCPUs: 8, Known: true}},
	}
	for _, p := range plans {
		r.Clusters[p.Cluster] = Cluster{Plan: p, Findings: []view.Finding{{Check: "Memory", Verdict: "Short", Place: "a.yaml:1", Message: "m"}}}
	}
	return r
}

var ada = Approval{User: "ada", AsUser: "ada@example.com", Commit: "c1", Proved: true}

func TestWhatWasShownIsReadBack(t *testing.T) {
	d := newDesk(t)
	if r := d.get(tree); r != nil {
		t.Fatalf("nobody was shown anything, and got %+v", r)
	}
	d.put(pull(tree, rolling("edge-01", 3)))
	d.approve(tree, ada)
	want := pull(tree, rolling("edge-01", 3))
	want.Shown = noon
	c := want.Clusters["edge-01"]
	c.Shown = noon
	want.Clusters["edge-01"] = c
	approved := ada
	approved.At = noon
	want.Approvals = []Approval{approved}
	if diff := cmp.Diff(&want, d.get(tree)); diff != "" {
		t.Error(diff)
	}
	kept, err := d.List(t.Context(), production)
	if diff := cmp.Diff([]Kept{{Tree: tree, Number: 7, Head: "c1", Put: noon}}, kept); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestTheSameIsNotWrittenAgain(t *testing.T) {
	d := newDesk(t)
	d.put(pull(tree, rolling("edge-01", 3)))
	d.approve(tree, ada)
	before := d.writes
	d.now = noon.Add(time.Hour)
	d.put(pull(tree, rolling("edge-01", 3)))
	d.approve(tree, ada)
	d.approve(other, ada) // nothing is kept there
	if d.writes != before {
		t.Errorf("%d writes", d.writes-before)
	}
	d.now = noon.Add(25 * time.Hour) // so that it is not collected while it is shown
	d.put(pull(tree, rolling("edge-01", 3)))
	if r := d.get(tree); d.writes == before || !r.Shown.Equal(noon) || len(r.Approvals) != 1 {
		t.Errorf("%d writes, %+v", d.writes-before, r)
	}
}

// Whose word counts for what, by what happened before the merge.
func TestStands(t *testing.T) {
	smaller, same, larger := rolling("edge-01", 2), rolling("edge-01", 3), rolling("edge-01", 4)
	later := func(d *desk, by time.Duration) { d.now = d.now.Add(by) }
	for name, c := range map[string]struct {
		do   func(d *desk)
		tree string
		want bool
	}{
		"Approved":         {func(d *desk) { d.approve(tree, ada) }, tree, true},
		"NobodyApproved":   {func(*desk) {}, tree, false},
		"NotProved":        {func(d *desk) { a := ada; a.Proved = false; d.approve(tree, a) }, tree, false},
		"AnOlderCommit":    {func(d *desk) { a := ada; a.Commit = "c0"; d.approve(tree, a) }, tree, false},
		"BeforeItWasShown": {func(d *desk) { a := ada; a.At = noon.Add(-time.Minute); d.approve(tree, a) }, tree, false},
		"TakenBack":        {func(d *desk) { d.approve(tree, ada); d.approve(tree) }, tree, false},
		"PlannedAgain":     {func(d *desk) { d.approve(tree, ada); later(d, time.Hour); d.put(pull(tree, same)) }, tree, true},
		"PlanShrank": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(tree, smaller))
		}, tree, true},
		"PlanGrew": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(tree, larger))
		}, tree, false},
		"PlanGrewAndTheWordStands": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(tree, larger))
			d.approve(tree, ada)
		}, tree, false},
		"PlanGrewAndApprovedOnceMore": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(tree, larger))
			again := ada
			again.Word++
			d.approve(tree, again)
		}, tree, true},
		"PlanGrewAndApprovedAnew": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(tree, larger))
			d.approve(tree)
			d.approve(tree, ada)
		}, tree, true},
		"PlanShrankAndGrew": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(tree, smaller))
			later(d, time.Hour)
			d.put(pull(tree, same))
		}, tree, false},
		"AWeekLater": {func(d *desk) { later(d, 7*24*time.Hour); d.approve(tree, ada) }, tree, false},
		"ShownAnewAfterAWeek": {func(d *desk) {
			later(d, 7*24*time.Hour)
			d.put(pull(tree, same))
			d.approve(tree, ada)
		}, tree, true},
		"ApprovedBeforeItWasShownAnew": {func(d *desk) {
			d.approve(tree, ada)
			later(d, 7*24*time.Hour)
			d.put(pull(tree, same))
		}, tree, false},
		"AnotherTree": {func(d *desk) { d.approve(tree, ada) }, other, false},
		"BaseMoved":   {func(d *desk) { d.approve(tree, ada); later(d, time.Hour); d.put(pull(other, same)) }, other, true},
		"BaseMovedToMore": {func(d *desk) {
			d.approve(tree, ada)
			later(d, time.Hour)
			d.put(pull(other, larger))
		}, other, false},
		"NextCommit": {func(d *desk) {
			d.approve(tree, ada)
			r := pull(other, same)
			r.Head = "c2"
			d.put(r)
		}, other, false},
		"Spent": {func(d *desk) {
			d.approve(tree, ada)
			if err := d.Spend(d.t.Context(), production, tree, 7, []string{"edge-01"}); err != nil {
				d.t.Fatal(err)
			}
			d.put(pull(tree, same))
			d.approve(tree)
			d.approve(tree, ada)
		}, tree, false},
		"AnotherClusterSpent": {func(d *desk) {
			d.approve(tree, ada)
			if err := d.Spend(d.t.Context(), production, tree, 7, []string{"edge-02"}); err != nil {
				d.t.Fatal(err)
			}
		}, tree, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.put(pull(tree, same))
			c.do(d)
			if got := d.get(c.tree).Stands("edge-01", d.now); (got != nil) != c.want {
				t.Errorf("in force: %+v, want %t", got, c.want)
			}
			if got := d.get(c.tree).Stands("edge-09", d.now); got != nil {
				t.Errorf("in force for a cluster that was not shown: %+v", got)
			}
		})
	}
}

// Plans that no Secret holds are kept in several, whatever happens in between.
func TestManyPlans(t *testing.T) {
	d := newDesk(t)
	var plans []plan.Plan
	chance := rand.New(rand.NewSource(1))
	for n := range 300 {
		p := rolling(fmt.Sprintf("edge-%03d", n), 3)
		text := make([]byte, 4096)
		_, _ = chance.Read(text)
		p.Changes[0].Reason = fmt.Sprintf("%x", text)
		plans = append(plans, p)
	}
	d.put(pull(tree, plans...))
	all := d.secrets()
	if len(all) < 2 {
		t.Fatalf("%d Secrets", len(all))
	}
	for i := range all {
		size := 0
		for _, v := range all[i].Data {
			size += len(v)
		}
		if size > corev1.MaxSecretSize || all[i].Labels[v1alpha1.ReviewedLabel] != production.Name {
			t.Errorf("Secret %s has %d bytes and labels %v", all[i].Name, size, all[i].Labels)
		}
	}
	if r := d.get(tree); len(r.Clusters) != 300 {
		t.Fatalf("%d clusters", len(r.Clusters))
	}
	d.put(pull(tree, rolling("edge-000", 3)))
	if err := d.Tidy(t.Context(), production, nil); err != nil {
		t.Fatal(err)
	}
	if all = d.secrets(); len(all) != 1 || len(d.get(tree).Clusters) != 1 {
		t.Errorf("%d Secrets are left", len(all))
	}
}

// Whoever gates the files is told when what was shown of them changed, and only then.
func TestChanged(t *testing.T) {
	d, told := newDesk(t), 0
	d.Changed = func(f client.ObjectKey, hash string) {
		if told++; f != production || hash != tree {
			t.Errorf("told of %s %s", f, hash)
		}
	}
	for n, do := range []func(){
		func() { d.put(pull(tree, rolling("edge-01", 3))) },
		func() { d.approve(tree, ada) },
		func() { d.approve(tree) },
	} {
		do()
		do()
		if told != n+1 {
			t.Errorf("told %d times, want %d", told, n+1)
		}
	}
	if err := d.Spend(t.Context(), production, tree, 7, []string{"edge-01"}); err != nil || told != 3 {
		t.Errorf("told %d times, %v", told, err)
	}
}

// An API server that is away is no reason to call a revision unreviewed.
func TestUnknownIsNotNothing(t *testing.T) {
	away := errors.New("away")
	api := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return away },
	}).Build()
	if _, err := (Store{Client: api, Reader: api}).Get(t.Context(), production, tree); !errors.Is(err, away) || errors.Is(err, ErrUnreadable) {
		t.Errorf("%v", err)
	}
}

// What changes is kept, and what goes is told from what changes.
func TestOf(t *testing.T) {
	cluster := plan.Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Namespace: "clusters", Name: "edge-02"}
	report := view.Report{Clusters: []view.ClusterReport{
		{Plan: rolling("edge-01", 3), Findings: []view.Finding{{Check: "Memory"}}},
		{Plan: plan.Deletion(cluster, 3, false)},
		{Plan: plan.Plan{Cluster: "edge-03"}, Kept: "its file is gone"},
	}, Capacity: []view.Capacity{{Element: "PE-1"}}}
	report.Clusters[1].Plan.Cluster = "edge-02"
	got := Of(report)
	if len(got.Clusters) != 2 || got.Clusters["edge-01"].Removal || !got.Clusters["edge-02"].Removal || len(got.Clusters["edge-01"].Findings) != 1 || len(got.Capacity) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 253)
	for _, name := range []string{nameOf("production", tree, 7), nameOf(long, strings.Repeat("f", 64), math.MaxInt)} {
		if len(name) > 253 {
			t.Errorf("%s has %d characters", name, len(name))
		}
	}
	if nameOf(long, tree, 7) == nameOf(long[:252]+"b", tree, 7) || len(labelOf(long)) > 63 || len(treeOf(strings.Repeat("f", 64))) > 63 {
		t.Error("names are not told apart, or do not fit")
	}
}
