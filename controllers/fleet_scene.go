package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// scene is what one reconcile of a Fleet knows, filled step by step.
type scene struct {
	fleet  *v1alpha1.Fleet
	source string // digest of url and path
	memory *fleetMemory
	calls  int64         // of the Git server, before anything was read
	client client.Client // writes, as the Fleet's service account

	mirrors map[string]*v1alpha1.NutanixClusterSpec // of this Fleet, by name
	all     []v1alpha1.NutanixClusterSpec           // of every namespace
	fleets  map[string]bool                         // that live in this namespace
	used    map[string]*v1alpha1.ClusterProfile     // profiles of this namespace, by name
	stored  map[string]bool                         // layer Secrets of this namespace, by name
	entered map[string]*v1alpha1.CloudAccount       // accounts of this namespace, by name

	accounts []v1alpha1.CloudAccount // of every namespace
	records  map[string]record       // of this namespace, by cluster

	unread   error // why the repository was not read
	repo     *gitsource.Repository
	revision gitsource.Revision
	declared *fleet.Fleet // nil when it was not read

	proposed  map[string]*proposal // clusters with a new plan, or held before one could be made
	removals  map[string]*removal
	vanishing int              // mirrors whose file is gone, whatever their policy
	reviewed  *review.Reviewed // what was shown of this revision; nil when nobody was shown it
	gated     plan.GateResult
	failures  []v1alpha1.Failure
	complete  bool // every step up to publish was done
	settled   bool // all that Git declares is accepted
	trailers  bool // a commit message approves something
	stirred   bool // what was shown of a revision changed

	unreadable string              // why it is not known whether this revision was reviewed
	roomless   map[string][]string // by cluster, what room is gone since its review
}

// proposal is what happens to one cluster in this reconcile.
type proposal struct {
	name     string
	declared *fleet.Cluster // nil for what the cluster itself asked for
	inputs   string
	flow     flow.Proposal
	cause    plan.Cause
	void     bool       // nothing to propose after all
	held     *stepError // why it is held; nil when accepted
	failures []v1alpha1.Failure
	decision plan.Decision
	waits    bool // held only because it shares with others that stay

	recordedAt *metav1.Time // of the held plan
}

// removal is a mirrored cluster whose file is gone.
type removal struct {
	mirror *v1alpha1.NutanixClusterSpec
	plan   plan.Plan // empty when the policy keeps it
	keep   string    // why it is kept, "" when it is to go
	reason string    // condition reason that goes with keep

	recordedAt *metav1.Time // of the held removal
}

// read says whether the repository was read in this reconcile.
func (s *scene) read() bool { return s.declared != nil }

// look reads what the API knows about the Fleet: its mirrors, their records, and the clusters of all others.
func (r *FleetReconciler) look(ctx context.Context, f *v1alpha1.Fleet) (*scene, error) {
	s := &scene{
		fleet: f, memory: r.remember(client.ObjectKeyFromObject(f)), calls: r.hooks.calls(client.ObjectKeyFromObject(f)),
		source:  flow.Source(f),
		mirrors: map[string]*v1alpha1.NutanixClusterSpec{}, fleets: map[string]bool{},
		proposed: map[string]*proposal{}, removals: map[string]*removal{},
	}
	writer, err := r.clients.as(f.Namespace, f.Spec.ServiceAccountName)
	if err != nil {
		return s, err
	}
	s.client = writer
	fleets := &v1alpha1.FleetList{}
	if err = r.List(ctx, fleets, client.InNamespace(f.Namespace)); err != nil {
		return s, fmt.Errorf("listing Fleets: %w", err)
	}
	for i := range fleets.Items {
		s.fleets[fleets.Items[i].Name] = fleets.Items[i].DeletionTimestamp.IsZero()
	}
	clusters := &v1alpha1.NutanixClusterSpecList{}
	// Past the cache: what this reconcile wrote a moment ago decides about names, endpoints and limits.
	if err = r.Reader.List(ctx, clusters); err != nil {
		return s, fmt.Errorf("listing NutanixClusterSpecs: %w", err)
	}
	s.all = clusters.Items
	for i := range s.all {
		c := &s.all[i]
		if c.Namespace == f.Namespace && c.Annotations[v1alpha1.FleetAnnotation] == f.Name {
			s.mirrors[c.Name] = c
		}
	}
	if err = s.lookAround(ctx, r); err != nil {
		return s, err
	}
	if s.records, err = r.records.list(ctx, f.Namespace); err != nil {
		return s, err
	}
	return s, nil
}

// lookAround reads the profiles and accounts of the namespace.
func (s *scene) lookAround(ctx context.Context, r *FleetReconciler) error {
	s.used, s.entered = map[string]*v1alpha1.ClusterProfile{}, map[string]*v1alpha1.CloudAccount{}
	var err error
	if s.stored, err = r.layers.stored(ctx, s.fleet.Namespace); err != nil {
		return err
	}
	profiles := &v1alpha1.ClusterProfileList{}
	if err = r.Reader.List(ctx, profiles, client.InNamespace(s.fleet.Namespace)); err != nil {
		return fmt.Errorf("listing ClusterProfiles: %w", err)
	}
	for i := range profiles.Items {
		s.used[profiles.Items[i].Name] = &profiles.Items[i]
	}
	accounts := &v1alpha1.CloudAccountList{}
	if err = r.Reader.List(ctx, accounts); err != nil {
		return fmt.Errorf("listing CloudAccounts: %w", err)
	}
	s.accounts = accounts.Items
	for i := range s.accounts {
		if a := &s.accounts[i]; a.Namespace == s.fleet.Namespace {
			s.entered[a.Name] = a
		}
	}
	return nil
}

// mirrored is what is accepted and living, to compare with what is declared.
func (s *scene) mirrored() flow.Mirrored {
	m := flow.Mirrored{Namespace: s.fleet.Namespace, Clusters: s.all, Accounts: s.accounts, Fleets: s.fleets}
	for _, name := range slices.Sorted(maps.Keys(s.used)) {
		m.Profiles = append(m.Profiles, *s.used[name])
	}
	return m
}

// read reads the repository if it is time, and decodes it.
func (r *FleetReconciler) read(ctx context.Context, s *scene) error {
	f := s.fleet
	if f.Spec.Suspend {
		return nil
	}
	m := s.memory
	s.stirred = r.stirred(m)
	if !s.stirred && m.handled == s.token() && r.Now().Before(m.next) && r.mirrored(s) {
		return nil
	}
	snap, repo, err := r.sources.snapshot(ctx, f)
	r.metrics.looked(client.ObjectKeyFromObject(f), snap.Committed, err)
	if err != nil {
		return err
	}
	s.repo, s.revision = repo, snap.Revision
	if m.revision != snap.Revision || m.path != f.Spec.Git.Path {
		dir, err := gitsource.CleanPath(f.Spec.Git.Path)
		if err != nil {
			return classifyGit(f, err)
		}
		// Every mistake is in the Fleet, beside what is right: one wrong file holds back its own cluster.
		m.decoded, _ = fleet.Decode(snap.Files, dir, fleet.Options{Namespace: f.Namespace, Cache: m.cache})
		tree, err := snap.Tree(dir)
		if err != nil {
			return classifyGit(f, err)
		}
		r.holdsTree(m, tree)
		m.revision, m.path = snap.Revision, f.Spec.Git.Path
	}
	s.declared = &m.decoded
	return nil
}

// mirrored says whether nothing calls for the repository: every cluster that was declared at the last look is mirrored
// as accepted, and nothing waits for an approval.
func (r *FleetReconciler) mirrored(s *scene) bool {
	for i := range s.memory.decoded.Clusters {
		c := &s.memory.decoded.Clusters[i]
		if s.referencesDiffer(c) {
			return false
		}
		mirror, ok := s.mirrors[c.Object.Name]
		if !ok || mirror.Annotations[v1alpha1.ApprovedPlanAnnotation] != "" || !accepted(mirror, s.records[mirror.Name]) {
			return false
		}
	}
	return true
}

// referencesDiffer says whether the mirrored account or profiles of a cluster are not as declared, as after a hand edit.
func (s *scene) referencesDiffer(c *fleet.Cluster) bool {
	if c.Account == nil {
		return false
	}
	if have := s.entered[c.Account.Object.Name]; have == nil || !equality.Semantic.DeepEqual(have.Spec, c.Account.Object.Spec) {
		return true
	}
	for _, p := range c.Profiles {
		if !s.holds(p) {
			return true
		}
	}
	return false
}

// holds says whether a profile is mirrored as declared and its built layers are there.
func (s *scene) holds(p *fleet.Profile) bool {
	have := s.used[p.Object.Name]
	if have == nil || have.Status.ContentDigest != p.ContentDigest || !equality.Semantic.DeepEqual(have.Spec, p.Object.Spec) {
		return false
	}
	for _, built := range have.Status.Layers {
		for _, name := range built.Secrets {
			if !s.stored[name] {
				return false
			}
		}
	}
	return true
}

// count fills the numbers of a Fleet's status, and what is held.
func (s *scene) count(f *v1alpha1.Fleet, now time.Time) {
	f.Status.Outcome = s.sumOutcomes()
	counts := v1alpha1.ClusterCounts{}
	for _, c := range s.mirrors {
		counts.Total++
		if is(c, v1alpha1.ReadyCondition, metav1.ConditionTrue) {
			counts.Ready++
		}
		if is(c, v1alpha1.InSyncCondition, metav1.ConditionFalse) {
			counts.Drifted++
		}
	}
	if !s.read() {
		counts.Held = f.Status.Clusters.Held
		f.Status.Clusters = counts
		return
	}
	counts.Held = int32(min(len(s.held()), 1<<30))
	f.Status.Clusters = counts
	s.countHeld(f, now)
	f.Status.TotalFailures = int32(min(len(s.failures), 1<<30))
	f.Status.Failures = s.failures[:min(len(s.failures), maxFailures)]
}

// maxFailures is how many failures a status lists.
const maxFailures = 50

// countHeld sums up what is held. A digest keeps the time at which it was first shown; after a week nobody can approve
// it any more, and unless somebody tried it is shown anew.
func (s *scene) countHeld(f *v1alpha1.Fleet, now time.Time) {
	held := v1alpha1.PlanStatus{Digest: s.gated.Digest, Severity: s.gated.Severity, Summary: s.gated.Summary}
	if held.Digest != "" {
		shown := metav1.NewTime(now.UTC().Truncate(time.Second))
		held.RecordedAt = &shown
		before := f.Status.Plan
		tried := f.Annotations[v1alpha1.ApprovedPlanAnnotation] != ""
		if before.Digest == held.Digest && before.RecordedAt != nil && (tried || !plan.Expired(before.RecordedAt.Time, now)) {
			held.RecordedAt = before.RecordedAt
		}
	}
	f.Status.Plan = held
}

func is(c conditioned, condition string, status metav1.ConditionStatus) bool {
	have := conditionOf(c, condition)
	return have != nil && have.Status == status
}

// held are the clusters whose plan waits, also those whose removal does, by name in order.
func (s *scene) held() []string {
	var held []string
	for name, p := range s.proposed {
		if p.held != nil {
			held = append(held, name)
		}
	}
	for name, g := range s.removals {
		if g.keep != "" && len(g.plan.Changes) > 0 {
			held = append(held, name)
		}
	}
	slices.Sort(held)
	return held
}

// verdict is the outcome of a reconcile whose steps all succeeded: nil when all that Git declares is accepted.
func (s *scene) verdict() error {
	held := s.held()
	switch {
	case s.read() && len(s.declared.Errors) > 0:
		return stall(v1alpha1.DecodeFailedReason, "%s", summarize(s))
	case len(held) > 0:
		return stall(v1alpha1.ClustersHeldReason, "%s", summarizeHeld(s, held))
	}
	return nil
}

// keptWithoutFile names the clusters that are kept although their files are gone, by the mirrors' own words, so that it
// is said between two looks as well.
func (s *scene) keptWithoutFile() string {
	var kept []string
	for _, name := range slices.Sorted(maps.Keys(s.mirrors)) {
		if sourceReason(s.mirrors[name]) == v1alpha1.FileRemovedReason {
			kept = append(kept, name)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return fmt.Sprintf("; %d clusters are kept although their files are gone: %s", len(kept), strings.Join(kept[:min(len(kept), 10)], ", "))
}

// failed is why a cluster could not be planned although nothing is wrong with it: to be tried again. The others went on.
func (s *scene) failed() error {
	for _, name := range slices.Sorted(maps.Keys(s.proposed)) {
		if p := s.proposed[name]; p.held != nil && p.held.kind == failed {
			return p.held
		}
	}
	return nil
}

// unanswered says whether a commit message may approve something that this reconcile could not take on: then the messages
// are read again.
func (s *scene) unanswered() bool {
	for _, p := range s.proposed {
		if s.trailers && p.held != nil && (p.held.kind == failed || p.decision.Approved) {
			return true
		}
	}
	return false
}

// summarize names the first mistake and counts the others.
func summarize(s *scene) string {
	first := s.declared.Errors[0].Error()
	rest := len(s.declared.Errors) - 1
	kept := "what was accepted is kept and nothing is pruned"
	if s.declared.Complete {
		kept = "the clusters concerned keep their last accepted state"
	}
	if rest == 0 {
		return fmt.Sprintf("%s: %s; %s", s.revision, first, kept)
	}
	return fmt.Sprintf("%s: %s (and %d more, see status.failures); %s", s.revision, first, rest, kept)
}

func summarizeHeld(s *scene, held []string) string {
	name := held[0]
	why := ""
	if p := s.proposed[name]; p != nil && p.held != nil {
		why = p.held.Error()
	} else if g := s.removals[name]; g != nil {
		why = g.keep
	}
	if len(held) == 1 {
		return fmt.Sprintf("%s: cluster %s is held: %s", s.revision, name, why)
	}
	return fmt.Sprintf("%s: %d clusters are held, the first is %s: %s", s.revision, len(held), name, why)
}
