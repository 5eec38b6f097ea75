package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kuberecord "k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

const clusters = "clusters"

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// stand is an API server in memory. It is for what a real one does seldom: to fail at the wrong moment.
func stand(t *testing.T, hooks interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(hooks).
		WithStatusSubresource(&v1alpha1.Fleet{}, &v1alpha1.NutanixClusterSpec{}, &v1alpha1.CloudAccount{}).Build()
}

func aFleet() *v1alpha1.Fleet {
	return &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: "production", Generation: 1},
		Spec:       v1alpha1.FleetSpec{Interval: metav1.Duration{Duration: 24 * time.Hour}},
	}
}

func aMirror(name string) *v1alpha1.NutanixClusterSpec {
	return &v1alpha1.NutanixClusterSpec{
		ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: name, Annotations: map[string]string{v1alpha1.FleetAnnotation: "production"}},
		Spec:       v1alpha1.NutanixClusterSpecSpec{AccountRef: v1alpha1.LocalReference{Name: "pc-east"}},
	}
}

// What was read of the repository counts as handled only once that was said: when the status could not be written, the
// next reconcile looks again, and does not wait for the interval.
func TestNothingIsHandledBeforeItIsSaid(t *testing.T) {
	away := errors.New("the API server is away")
	c := stand(t, interceptor.Funcs{
		SubResourceApply: func(context.Context, client.Client, string, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
			return away
		},
	}, aFleet())
	memory := &fleetMemory{cache: fleet.NewCache(1 << 10)}
	s := &scene{fleet: aFleet(), memory: memory, declared: &fleet.Fleet{Complete: true}, complete: true}
	r := &FleetReconciler{Client: c, Reader: c, Recorder: &kuberecord.FakeRecorder{}, Now: func() time.Time { return noon }}
	f := aFleet()
	if _, err := r.say(t.Context(), f.DeepCopy(), f, s, nil); !errors.Is(err, away) {
		t.Errorf("the status could not be written, and the reconcile says %v", err)
	}
	if memory.handled != "" {
		t.Error("the revision counts as handled although nobody was told")
	}
}

// Events between two looks do not put the next one off.
func TestTheIntervalBeginsAtTheLook(t *testing.T) {
	f := aFleet()
	s := &scene{fleet: f}
	s.memory = &fleetMemory{handled: s.token(), next: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		at   time.Time
		read bool
		want time.Duration
	}{
		"JustRead":      {noon, true, 24 * time.Hour},
		"HalfWay":       {noon.Add(30 * time.Minute), false, 30 * time.Minute},
		"AboutToBeDue":  {noon.Add(time.Hour), false, soon},
		"ClockWentBack": {noon.Add(-48 * time.Hour), false, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			if c.read {
				s.declared = &fleet.Fleet{}
			}
			if got := s.again(c.at); got != c.want {
				t.Errorf("looks again after %s, want %s", got, c.want)
			}
		})
	}
}

// An approval stays while the cluster could not be planned, or was let go on and waits for others: taken off, it would be
// lost.
func TestApprovalsAreNotSpentOnNothing(t *testing.T) {
	const digest = "sha256:aa"
	for name, c := range map[string]struct {
		proposal *proposal
		decision plan.Decision
		kept     bool
	}{
		"PlanningFailed":  {&proposal{held: asFailure(errors.New("timeout"))}, plan.Decision{Accepted: true}, true},
		"WaitsForOthers":  {&proposal{held: asFailure(stall(v1alpha1.ConflictReason, "x")), waits: true, decision: plan.Decision{Accepted: true, Approved: true}}, plan.Decision{Accepted: true, Approved: true}, true},
		"HeldUnderIt":     {&proposal{held: asFailure(stall(v1alpha1.LimitExceededReason, "x"))}, plan.Decision{Digest: digest}, true},
		"HeldUnderOther":  {&proposal{held: asFailure(stall(v1alpha1.LimitExceededReason, "x"))}, plan.Decision{Digest: "sha256:bb"}, false},
		"AcceptedByIt":    {&proposal{decision: plan.Decision{Accepted: true, Approved: true}}, plan.Decision{Accepted: true, Approved: true}, false},
		"NothingIsWanted": {nil, plan.Decision{Accepted: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			mirror := aMirror("edge-01")
			mirror.Annotations[v1alpha1.ApprovedPlanAnnotation] = digest
			mirror.Annotations[v1alpha1.ApprovedByAnnotation] = "ada"
			api := stand(t, interceptor.Funcs{}, mirror)
			s := &scene{
				fleet: aFleet(), declared: &fleet.Fleet{}, proposed: map[string]*proposal{}, mirrors: map[string]*v1alpha1.NutanixClusterSpec{"edge-01": mirror},
				gated: plan.GateResult{Decisions: map[string]plan.Decision{"edge-01": c.decision}},
			}
			if c.proposal != nil {
				s.proposed["edge-01"] = c.proposal
			}
			r := &FleetReconciler{Client: api, Now: func() time.Time { return noon }}
			if err := r.spend(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			now := &v1alpha1.NutanixClusterSpec{}
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(mirror), now); err != nil {
				t.Fatal(err)
			}
			if kept := now.Annotations[v1alpha1.ApprovedPlanAnnotation] != ""; kept != c.kept {
				t.Errorf("approval kept: %t, want %t", kept, c.kept)
			}
		})
	}
}

// A revision whose commit messages may approve what could not be taken on is not over.
func TestUnanswered(t *testing.T) {
	held := asFailure(stall(v1alpha1.ConflictReason, "x"))
	for name, c := range map[string]struct {
		proposal proposal
		trailers bool
		want     bool
	}{
		"PlanningFailed":     {proposal{held: asFailure(errors.New("timeout"))}, true, true},
		"NoMessageApproves":  {proposal{held: asFailure(errors.New("timeout"))}, false, false},
		"ApprovedByAMessage": {proposal{held: held, decision: plan.Decision{Accepted: true, Approved: true}}, true, true},
		"ApprovedOtherwise":  {proposal{held: held, decision: plan.Decision{Accepted: true, Approved: true}}, false, false},
		"WaitsForAnApproval": {proposal{held: held}, true, false},
		"AcceptedByAMessage": {proposal{decision: plan.Decision{Accepted: true, Approved: true}}, true, false},
		"WrongInItsFile":     {proposal{held: asFailure(stall(v1alpha1.InvalidReason, "x"))}, true, false},
		"NothingWasSaidOfIt": {proposal{}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{proposed: map[string]*proposal{"edge-01": &c.proposal}, trailers: c.trailers}
			if got := s.unanswered(); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// Clusters that share an account or the name of a profile go on together or not at all, whoever holds whom.
func TestTogether(t *testing.T) {
	account := &fleet.Account{Object: &v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Name: "pc-east"}, Spec: v1alpha1.CloudAccountSpec{Insecure: true}}}
	profile := func(version string) *fleet.Profile {
		return &fleet.Profile{Object: &v1alpha1.ClusterProfile{
			ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: "standard"}, Spec: v1alpha1.ClusterProfileSpec{Profile: "standard", Version: version},
		}}
	}
	next := func(p ...*fleet.Profile) *proposal {
		return &proposal{declared: &fleet.Cluster{Account: &fleet.Account{Object: &v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Name: "other"}}}, Profiles: p}}
	}
	changed := func() *proposal { p := next(); p.declared.Account = account; return p }
	holding := func(p *proposal) *proposal {
		p.held = asFailure(stall(v1alpha1.ConflictReason, "a reason of its own"))
		return p
	}
	both := changed()
	both.declared.Profiles = []*fleet.Profile{profile("1.0.1")}
	for name, c := range map[string]struct {
		proposed map[string]*proposal
		accounts map[string]string // mirrors by name, with their account
		want     []string
	}{
		"AccountForAll":            {map[string]*proposal{"a": changed(), "b": changed()}, map[string]string{"a": "pc-east", "b": "pc-east"}, nil},
		"AccountOfOneThatIsHeld":   {map[string]*proposal{"a": changed(), "b": holding(changed())}, map[string]string{"a": "pc-east", "b": "pc-east"}, []string{"a", "b"}},
		"AccountOfOneWithoutAPlan": {map[string]*proposal{"a": changed()}, map[string]string{"a": "pc-east", "b": "pc-east"}, []string{"a"}},
		"VersionForAll":            {map[string]*proposal{"a": next(profile("1.0.1")), "b": next(profile("1.0.1"))}, map[string]string{"a": "x", "b": "x"}, nil},
		"VersionOfOneThatStays":    {map[string]*proposal{"a": next(profile("1.0.1"))}, map[string]string{"a": "x", "b": "x"}, []string{"a"}},
		"SameVersion":              {map[string]*proposal{"a": next(profile("1.0.0"))}, map[string]string{"a": "x", "b": "x"}, nil},
		"OneHoldsTheNext":          {map[string]*proposal{"a": next(profile("1.0.1")), "b": both, "c": holding(changed())}, map[string]string{"a": "x", "b": "pc-east", "c": "pc-east"}, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{
				fleet: aFleet(), proposed: c.proposed, mirrors: map[string]*v1alpha1.NutanixClusterSpec{},
				entered: map[string]*v1alpha1.CloudAccount{"pc-east": {}},
				used:    map[string]*v1alpha1.ClusterProfile{"standard": profile("1.0.0").Object},
			}
			for mirror, account := range c.accounts {
				m := aMirror(mirror)
				m.Spec.AccountRef.Name = account
				m.Spec.Profiles = []v1alpha1.ProfileReference{{Name: "standard", Version: "1.0.0"}}
				s.mirrors[mirror] = m
				s.all = append(s.all, *m)
			}
			slices.SortFunc(s.all, func(a, b v1alpha1.NutanixClusterSpec) int { return len(a.Name) - len(b.Name) })
			for mirror, p := range s.proposed {
				p.name = mirror
			}
			s.together()
			if got := s.held(); !slices.Equal(got, c.want) {
				t.Errorf("held are %v, want %v", got, c.want)
			}
		})
	}
}

// Between two looks at the repository a mirror that is as accepted says so for its generation, and one whose Fleet came
// back no longer says that it is gone.
func TestJudgeBetweenLooks(t *testing.T) {
	mirror := aMirror("edge-01")
	spec := mirror.Spec
	mirror.Annotations[v1alpha1.AcceptedDigestAnnotation] = "inputs"
	recs := map[string]record{"edge-01": {Accepted: &entry{Inputs: "inputs"}, Spec: &spec}}
	s := &scene{fleet: aFleet(), records: recs}

	mirror.Generation = 1
	set(mirror, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason, "as declared")
	mirror.Generation = 3 // edited by hand, and put back
	if s.judge(mirror); conditionOf(mirror, v1alpha1.SourceAcceptedCondition).ObservedGeneration != 3 {
		t.Errorf("%+v", mirror.Status.Conditions)
	}
	edited := mirror.DeepCopy()
	edited.Generation, edited.Spec.Paused = 4, true
	if s.judge(edited); conditionOf(edited, v1alpha1.SourceAcceptedCondition).ObservedGeneration != 3 {
		t.Errorf("says of an edited mirror: %+v", edited.Status.Conditions)
	}
	set(mirror, v1alpha1.SourceAcceptedCondition, metav1.ConditionUnknown, v1alpha1.FleetGoneReason, "Fleet production was deleted")
	if s.judge(mirror); sourceReason(mirror) != v1alpha1.SourceUnknownReason {
		t.Errorf("%+v", mirror.Status.Conditions)
	}
}

// A profile that a range takes is in use, also by a cluster without a Fleet, whose range nobody has resolved.
func TestUnused(t *testing.T) {
	profile := func(version string) *v1alpha1.ClusterProfile {
		return &v1alpha1.ClusterProfile{
			ObjectMeta: metav1.ObjectMeta{Name: "standard-" + version, Annotations: map[string]string{v1alpha1.FleetAnnotation: "production"}},
			Spec:       v1alpha1.ClusterProfileSpec{Profile: "standard", Version: version},
		}
	}
	for name, c := range map[string]struct {
		version string
		want    int
	}{
		"Exact":      {"1.0.0", 1},
		"Range":      {"1.0.x", 0},
		"OtherRange": {"2.x", 2},
		"Unreadable": {"newest", 0},
	} {
		t.Run(name, func(t *testing.T) {
			user := aMirror("alone")
			user.Spec.Profiles = []v1alpha1.ProfileReference{{Name: "standard", Version: c.version}}
			s := &scene{fleet: aFleet(), all: []v1alpha1.NutanixClusterSpec{*user}, used: map[string]*v1alpha1.ClusterProfile{"a": profile("1.0.0"), "b": profile("1.0.1")}}
			if got := s.unused(); len(got) != c.want {
				t.Errorf("%d profiles are unused, want %d", len(got), c.want)
			}
		})
	}
}

// Records of clusters that never came go with their files; what still stands for something stays.
func TestTidyRecords(t *testing.T) {
	held := func(owner string) *entry { return &entry{ID: "1", Plan: []byte("{}"), Fleet: owner} }
	accepted := func(owner string) *entry {
		return &entry{ID: "1", Plan: []byte("{}"), Stamps: map[string]string{v1alpha1.FleetAnnotation: owner}}
	}
	for name, c := range map[string]struct {
		values map[string]any
		lives  bool // its NutanixClusterSpec came since the reconcile began
		kept   bool
	}{
		"HeldNewcomer":            {map[string]any{keyHeld: held("production")}, false, false},
		"AcceptedNewcomer":        {map[string]any{keyAccepted: accepted("production")}, false, false},
		"AnotherFleetsNewcomer":   {map[string]any{keyHeld: held("staging")}, false, true},
		"NewcomerOfAFleetGone":    {map[string]any{keyHeld: held("gone")}, false, false},
		"MirrorDeletedByHand":     {map[string]any{keyAccepted: accepted("production"), keyApplied: true}, false, true},
		"ClusterDeletedByHand":    {map[string]any{keyAccepted: accepted("production"), keyGone: true}, false, true},
		"RemovalCarriedOut":       {map[string]any{keyAccepted: accepted("production"), keyApplied: true, keyRemoval: held("")}, false, false},
		"ItsClusterCameMeanwhile": {map[string]any{keyHeld: held("")}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			api := stand(t, interceptor.Funcs{})
			recs := records{client: api, reader: api}
			key := client.ObjectKey{Namespace: clusters, Name: "edge-01"}
			if err := recs.put(t.Context(), key, c.values); err != nil {
				t.Fatal(err)
			}
			if c.lives {
				if err := api.Create(t.Context(), aMirror("edge-01")); err != nil {
					t.Fatal(err)
				}
			}
			all, err := recs.list(t.Context(), clusters)
			if err != nil {
				t.Fatal(err)
			}
			r := &FleetReconciler{Client: api, Reader: api, records: recs}
			if err = r.tidyRecords(t.Context(), &scene{fleet: aFleet(), records: all, fleets: map[string]bool{"production": true, "staging": true}}); err != nil {
				t.Fatal(err)
			}
			rec, err := recs.get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if kept := rec.version != ""; kept != c.kept {
				t.Errorf("kept: %t, want %t", kept, c.kept)
			}
		})
	}
}
