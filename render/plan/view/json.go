package view

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// Version of the JSON document.
const Version = "plan.refract.dev/v1"

// Document is what WriteJSON writes. Within a version fields are only added.
type Document struct {
	// APIVersion is plan.refract.dev/v1.
	APIVersion string `json:"apiVersion"`
	// Kind is "PlanList".
	Kind string `json:"kind"`
	// Summary over all clusters in one line.
	Summary string `json:"summary"`
	// Clusters in the order given.
	Clusters []Cluster `json:"clusters"`
	// Live: the management cluster was asked.
	Live bool `json:"live"`
	// Held clusters, the refused among them.
	Held []Held `json:"held"`
	// Kept clusters whose files are gone.
	Kept []Kept `json:"kept"`
	// PrismCentral is what the operator saw last there of the planned clusters; only those with something to say.
	PrismCentral []OnPrism `json:"prismCentral"`
	// Mistakes in the files, "file:line: message".
	Mistakes []string `json:"mistakes"`
	// Fleet as namespace/name; left out when none was named.
	Fleet string `json:"fleet,omitempty"`
	// Base is the revision that Head was compared with; left out: what is live.
	Base string `json:"base,omitempty"`
	// Head is the revision that was planned; left out: the files as they lay there.
	Head string `json:"head,omitempty"`
	// Predicted: neither the management cluster nor Prism Central was asked.
	Predicted bool `json:"predicted"`
	// Note on how the plan was made when that is not the usual way, such as for a fork.
	Note string `json:"note,omitempty"`
	// Capacity by Prism Element; empty where it is not known what is needed.
	Capacity []Capacity `json:"capacity"`
	// Unchanged counts the clusters that Head leaves as they are.
	Unchanged int `json:"unchanged"`
	// Digest over all that is held and could be approved, for the Fleet's approval; left out when there is nothing.
	Digest string `json:"digest,omitempty"`
}

// Cluster is the plan of one cluster.
type Cluster struct {
	// Cluster by name.
	Cluster string `json:"cluster"`
	// Digest to approve; left out when nothing changes.
	Digest string `json:"digest,omitempty"`
	// Severity of the worst change.
	Severity v1alpha1.Severity `json:"severity"`
	// Summary in one line.
	Summary string `json:"summary"`
	// Recreated machines.
	Recreated int `json:"recreated"`
	// Removed machines.
	Removed int `json:"removed"`
	// Predicted: compared without asking the API server.
	Predicted bool `json:"predicted"`
	// Changes, every one. What a plan knows by a digest alone is "created" or "changed".
	Changes []plan.Change `json:"changes"`
	// Foreign objects in the way.
	Foreign []plan.Foreign `json:"foreign"`
	// Verdict at the merge: "refused", "object in the way", "blocked", "held", "waits for preflight", "kept", "goes on",
	// "no change", or "limits not asked".
	Verdict string `json:"verdict,omitempty"`
	// Approved: it goes on only by a person's word.
	Approved bool `json:"approved,omitempty"`
	// Pending: the base asks for the very same already, and it has not been carried out.
	Pending bool `json:"pending"`
	// Findings of preflight for what the plan makes.
	Findings []Finding `json:"findings"`
	// Drift that is there now and that the plan is not about.
	Drift []string `json:"drift"`
}

// Held is a cluster to which nothing happens at the merge.
type Held struct {
	// Cluster by name.
	Cluster string `json:"cluster"`
	// Reason is a condition reason, such as LimitExceeded, ApprovalRequired, Forbidden or AlreadyExists.
	Reason string `json:"reason"`
	// Message says why, and how to go on.
	Message string `json:"message"`
	// Digest to approve; left out when no approval could help.
	Digest string `json:"digest,omitempty"`
}

// Kept is a cluster whose file is gone and that stays.
type Kept struct {
	// Cluster by name.
	Cluster string `json:"cluster"`
	// Message says why it stays.
	Message string `json:"message"`
}

// DocumentOf is a report for machines. It holds no secret value, not even a digest of one.
func DocumentOf(r Report) Document {
	doc := Document{
		APIVersion: Version, Kind: "PlanList", Summary: summary(r),
		Clusters: []Cluster{}, Live: !r.Predicted, Held: []Held{}, Kept: []Kept{}, PrismCentral: []OnPrism{}, Mistakes: []string{},
		Fleet: r.Fleet, Base: r.Base, Head: r.Head, Predicted: r.Predicted, Note: r.Note,
		Capacity: append([]Capacity{}, r.Capacity...), Unchanged: r.Unchanged, Digest: r.Digest,
	}
	for _, c := range r.Clusters {
		doc.add(c)
	}
	for _, m := range r.Mistakes {
		if m.Place != "" {
			m.Message = m.Place + ": " + m.Message
		}
		doc.Mistakes = append(doc.Mistakes, m.Message)
	}
	return doc
}

func (doc *Document) add(c ClusterReport) {
	if c.Kept != "" {
		doc.Kept = append(doc.Kept, Kept{Cluster: c.Plan.Cluster, Message: c.Kept})
	}
	if c.PrismCentral != nil {
		doc.PrismCentral = append(doc.PrismCentral, *c.PrismCentral)
	}
	if d := c.Decision; c.stands() {
		doc.Held = append(doc.Held, Held{Cluster: c.Plan.Cluster, Reason: d.Reason, Message: plan.WithoutDigests(d.Message), Digest: d.Digest})
	}
	if c.Kept != "" && !c.tells() {
		return
	}
	doc.Clusters = append(doc.Clusters, clusterOf(c))
}

func clusterOf(c ClusterReport) Cluster {
	p := c.Plan
	out := Cluster{
		Cluster: p.Cluster, Digest: p.Digest(), Severity: p.Severity(), Summary: p.Summary(),
		Recreated: p.Recreated(), Removed: p.Removed(), Predicted: p.Predicted,
		Changes: make([]plan.Change, 0, len(p.Changes)), Foreign: append([]plan.Foreign{}, p.Foreign...),
		Verdict: words[verdictOf(c)], Approved: c.Decision != nil && c.Decision.Approved, Pending: c.Pending,
		Findings: append([]Finding{}, c.Findings...), Drift: append([]string{}, c.Drift...),
	}
	for _, change := range p.Changes {
		change.From, change.To = change.Shown()
		out.Changes = append(out.Changes, change)
	}
	return out
}

// WriteJSON writes a report for machines, as one indented Document. It holds no secret value, not even a digest of one.
// An error is the writer's.
func WriteJSON(w io.Writer, r Report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(DocumentOf(r)); err != nil {
		return fmt.Errorf("write plan as JSON: %w", err)
	}
	return nil
}
