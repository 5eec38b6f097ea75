package cli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render/plan/view"
)

// explanation is what -o json prints; within its version fields are only added.
type explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Cluster    string `json:"cluster"`
	Namespace  string `json:"namespace"`
	Fleet      string `json:"fleet,omitempty"`
	// State in a word.
	State   string `json:"state"`
	Healthy bool   `json:"healthy"`
	// Since when it is so, where that is known.
	Since *time.Time `json:"since,omitempty"`
	// Cause and Next: why, and what a person does. Empty when all is well.
	Cause string `json:"cause,omitempty"`
	Next  string `json:"next,omitempty"`
	// Also is what else is wrong or waits.
	Also []string `json:"also,omitempty"`
	// Evidence from Git to the machine.
	Evidence []evidence `json:"evidence"`
	// Plan that is held, where it may be read.
	Plan *view.Document `json:"plan,omitempty"`
	// Unread says what could not be read: what is missing of it is not known to be absent.
	Unread []string `json:"unread,omitempty"`

	report view.Report // Plan for people
}

// Layers of evidence, in the order in which they are told.
const (
	layerGit       = "Git"
	layerPlan      = "Plan"
	layerPreflight = "Preflight"
	layerCluster   = "Cluster"
	layerDrift     = "Drift"
	layerMachine   = "Machine"
	layerEvent     = "Event"
)

var layers = []struct{ name, title string }{
	{layerGit, "From Git"},
	{layerPlan, "The plan that is held"},
	{layerPreflight, "What preflight found"},
	{layerCluster, "What the cluster says"},
	{layerDrift, "What differs"},
	{layerMachine, "What Cluster API and the Nutanix provider say"},
	{layerEvent, "Events of the last hour"},
}

// evidence is one thing that an explanation follows from.
type evidence struct {
	Layer string `json:"layer"`
	// Object that it is about, "NutanixMachine/edge-01-workers-x7k2p".
	Object string `json:"object,omitempty"`
	// Machine that the object is or belongs to, and Owner of that.
	Machine string `json:"machine,omitempty"`
	Owner   string `json:"owner,omitempty"`
	// Place in the files, "fleet/edge-01.yaml:3".
	Place string `json:"place,omitempty"`
	// Revision, and who committed what where a clone has it.
	Revision string `json:"revision,omitempty"`
	Author   string `json:"author,omitempty"`
	Subject  string `json:"subject,omitempty"`
	// Condition with its Reason.
	Condition string `json:"condition,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
	// Task in Prism Central that the message names.
	Task  string     `json:"task,omitempty"`
	Since *time.Time `json:"since,omitempty"`
	Help  string     `json:"help,omitempty"`
}

// explain judges what was learned. It asks nobody.
func (k *knowledge) explain() (explanation, error) {
	e := explanation{
		APIVersion: "explain.refract.dev/v1", Kind: "Explanation", Cluster: k.key.Name, Namespace: k.key.Namespace,
		State: "Not accepted", Evidence: []evidence{}, Unread: k.unread,
	}
	if k.fleet != nil {
		e.Fleet = k.fleet.Name
	}
	problems, err := kube.Problems(k.objects)
	if err != nil {
		return e, err
	}
	if k.cluster != nil {
		e.State = cmp.Or(string(k.cluster.Status.Phase), "Not looked at yet")
		if ready := k.condition(v1alpha1.ReadyCondition); ready != nil {
			e.Since = when(ready.LastTransitionTime.Time)
		}
	}
	causes := k.judge(problems)
	e.Healthy = len(causes) == 0
	for i, c := range causes {
		if i > 0 {
			e.also(c)
			continue
		}
		e.Cause, e.Next = oneLine(c.text), oneLine(c.next)
		if !c.since.IsZero() {
			e.Since = when(c.since)
		}
	}
	e.Evidence = append(e.Evidence, k.fromGit()...)
	if k.cluster != nil {
		k.tellPlan(&e)
		e.Evidence = append(e.Evidence, k.fromCluster()...)
		e.Evidence = append(e.Evidence, k.fromMachines(problems)...)
		e.Evidence = append(e.Evidence, k.fromEvents()...)
	}
	return e, nil
}

// also notes what is told beside the cause, once.
func (e *explanation) also(c cause) {
	text := oneLine(c.text)
	if text != e.Cause && !strings.Contains(e.Cause, text) && !slices.Contains(e.Also, text) {
		e.Also = append(e.Also, text)
	}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// revisions that a clone may know.
func (k *knowledge) revisions() []string {
	var all []string
	if k.cluster != nil {
		all = append(all, k.cluster.Annotations[v1alpha1.RevisionAnnotation])
	}
	if k.held != nil {
		all = append(all, k.held.Revision)
	}
	if k.fleet != nil {
		all = append(all, k.fleet.Status.LastAttemptedRevision)
	}
	return all
}

// fromGit tells what is accepted, what is held, and what is wrong in the files.
func (k *knowledge) fromGit() []evidence {
	var all []evidence
	if k.cluster != nil {
		if a := k.cluster.Annotations; a[v1alpha1.FileAnnotation] != "" {
			all = append(all, k.committed("accepted", a[v1alpha1.FileAnnotation], a[v1alpha1.RevisionAnnotation]))
		}
	}
	held := ""
	if k.held != nil && k.held.Revision != "" {
		held = k.held.Revision
		all = append(all, k.committed("held", "", held))
	}
	for _, f := range k.mistakes() {
		all = append(all, evidence{Layer: layerGit, Place: placeOf(f), Message: "refused: " + oneLine(f.Message)})
	}
	if k.fleet == nil {
		return all
	}
	if last := k.fleet.Status.LastAttemptedRevision; last != "" && last != held {
		all = append(all, k.committed("read last by Fleet "+k.fleet.Name, "", last))
	}
	if c := k.sourceTrouble(); c != nil {
		all = append(all, evidence{
			Layer: layerGit, Object: "Fleet/" + k.fleet.Name, Condition: c.Type, Reason: c.Reason, Message: oneLine(c.Message), Since: when(c.LastTransitionTime.Time),
		})
	}
	return all
}

// committed is a revision, with who committed what where a clone has it.
func (k *knowledge) committed(what, place, revision string) evidence {
	e := evidence{Layer: layerGit, Message: what, Place: place, Revision: revision}
	r, err := gitsource.ParseRevision(revision)
	if err != nil {
		return e
	}
	if c, ok := k.commits[r.Hash]; ok {
		e.Author, e.Subject, e.Since = c.Author, c.Subject(), when(c.Authored)
	}
	return e
}

// mistakes in the files of the cluster: its own, else those that the Fleet tells of it.
func (k *knowledge) mistakes() []v1alpha1.Failure {
	if k.cluster != nil && len(k.cluster.Status.Failures) > 0 {
		return k.cluster.Status.Failures
	}
	var mine []v1alpha1.Failure
	if k.fleet != nil {
		for _, f := range k.fleet.Status.Failures {
			if k.concerns(f) {
				mine = append(mine, f)
			}
		}
	}
	return mine
}

// tellPlan adds the plan that is held, change by change where it may be read.
func (k *knowledge) tellPlan(e *explanation) {
	p := k.cluster.Status.Plan
	if p.Digest == "" {
		return
	}
	one := evidence{Layer: layerPlan, Reason: string(p.Severity), Message: oneLine(p.Summary) + ", " + p.Digest}
	if p.RecordedAt != nil {
		one.Since = when(p.RecordedAt.Time)
	}
	e.Evidence = append(e.Evidence, one)
	if k.held == nil {
		return
	}
	e.report = view.Report{Head: k.held.Revision, Clusters: []view.ClusterReport{{Plan: k.held.Plan}}}
	doc := view.DocumentOf(e.report)
	e.Plan = &doc
}

// told are the conditions of a cluster that say something when they are not as they should be, the causes first.
var told = []string{
	v1alpha1.SourceAcceptedCondition, v1alpha1.PreflightPassedCondition, v1alpha1.PausedCondition, v1alpha1.InSyncCondition, v1alpha1.ReadyCondition,
}

// fromCluster tells preflight's findings, conditions and drift.
func (k *knowledge) fromCluster() []evidence {
	var all []evidence
	file := k.cluster.Annotations[v1alpha1.FileAnnotation]
	for _, f := range k.cluster.Status.Preflight {
		all = append(all, evidence{Layer: layerPreflight, Object: f.Field, Place: file, Condition: f.Check, Reason: string(f.Verdict), Message: oneLine(f.Message)})
	}
	for _, name := range told {
		c := k.condition(name)
		if c == nil {
			continue
		}
		all = append(all, evidence{
			Layer: layerCluster, Condition: c.Type + " " + string(c.Status), Reason: c.Reason, Message: oneLine(c.Message), Since: when(c.LastTransitionTime.Time),
		})
	}
	for _, f := range k.cluster.Status.Drift {
		all = append(all, evidence{Layer: layerDrift, Object: f.Object, Message: driftLine(f, false), Since: when(f.Since.Time)})
	}
	return all
}

// task is how Prism Central's tasks are named in what the Nutanix provider says.
var task = regexp.MustCompile(`\btask ([A-Za-z0-9+/=]*:?[0-9a-fA-F-]{8,36})\b`)

// fromMachines tells what holds machines up, worst first.
func (k *knowledge) fromMachines(problems []kube.Problem) []evidence {
	var all []evidence
	for _, p := range problems {
		e := evidence{
			Layer: layerMachine, Object: p.Object.String(), Machine: p.Machine, Owner: p.Owner, Condition: p.Condition, Reason: p.Reason,
			Message: oneLine(p.Message), Help: oneLine(p.Help), Since: when(k.sinceOf(p)),
		}
		if m := task.FindStringSubmatch(p.Message); m != nil {
			e.Task = m[1]
		}
		all = append(all, e)
	}
	return all
}

// sinceOf is when the condition of a problem changed, or else when its object was made.
func (k *knowledge) sinceOf(p kube.Problem) time.Time {
	for _, o := range k.objects {
		if o.GetKind() != p.Object.Kind || o.GetName() != p.Object.Name {
			continue
		}
		for _, path := range [][]string{{"status", "v1beta2", "conditions"}, {"status", "conditions"}} {
			if t := transition(o, p.Condition, path...); !t.IsZero() {
				return t
			}
		}
		return o.GetCreationTimestamp().Time
	}
	return time.Time{}
}

func transition(o *unstructured.Unstructured, condition string, path ...string) time.Time {
	all, _, _ := unstructured.NestedSlice(o.Object, path...)
	for _, c := range all {
		m, _ := c.(map[string]any)
		if text, ok := m["lastTransitionTime"].(string); ok && m["type"] == condition {
			t, _ := time.Parse(time.RFC3339, text)
			return t
		}
	}
	return time.Time{}
}

// maxEvents are told, the newest.
const maxEvents = 10

func (k *knowledge) fromEvents() []evidence {
	events := slices.Clone(k.events)
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	events = events[max(0, len(events)-maxEvents):]
	var all []evidence
	for _, e := range events {
		message := oneLine(e.Message)
		if e.Count > 1 {
			message += fmt.Sprintf(" (%d times)", e.Count)
		}
		all = append(all, evidence{
			Layer: layerEvent, Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, Condition: e.Type, Reason: e.Reason, Message: message, Since: when(eventTime(e)),
		})
	}
	return all
}
