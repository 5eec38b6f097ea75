package view

import (
	"github.com/refract-dev/refract/render/plan"
)

// Report is what one revision of a Fleet would do: the value behind every view. It holds no secret value, not even a
// digest of one.
type Report struct {
	// Fleet as namespace/name; empty when none was named.
	Fleet string
	// Base is the revision that Head was compared with, "main@sha1:…" or as typed; empty: what is live.
	Base string
	// Head is the revision that was planned; empty: the files as they lie there.
	Head string
	// Predicted: neither the management cluster nor Prism Central was asked.
	Predicted bool
	// Note says in a sentence how the plan was made when that is not the usual way, such as for a fork; may be empty.
	Note string
	// Clusters by name; only those with something to say.
	Clusters []ClusterReport
	// Capacity by Prism Element, for what Clusters would make. Empty where it is not known.
	Capacity []Capacity
	// Mistakes in the files, sorted by place.
	Mistakes []Mistake
	// Unchanged counts the clusters that Head leaves as they are.
	Unchanged int
	// Digest over all that is held and could be approved, for the Fleet's approval; empty when there is nothing.
	Digest string
}

// ClusterReport is what would happen to one cluster.
type ClusterReport struct {
	// Plan with the cluster's name.
	Plan plan.Plan
	// Decision of the gate; nil when it was not asked.
	Decision *plan.Decision
	// Kept says why a cluster whose file is gone stays; empty otherwise.
	Kept string
	// Pending: Base asks for the very same already, and it has not been carried out.
	Pending bool
	// Findings of preflight for what the plan makes.
	Findings []Finding
	// Drift that is there now and that the plan is not about: "VM edge-01-kcp-x memory: is 4 GiB, should be 8 GiB".
	Drift []string
	// PrismCentral is what the operator saw last there of the cluster, about what was accepted before; nil when there is
	// nothing to say.
	PrismCentral *OnPrism
}

// Finding of preflight.
type Finding struct {
	// Check, such as Subnet or Memory.
	Check string `json:"check"`
	// Verdict: Failed, Short or Unknown.
	Verdict string `json:"verdict"`
	// Holds: the Fleet enforces this check, so the cluster would wait.
	Holds bool `json:"holds"`
	// Place in the files, "file:line: field"; or the field alone.
	Place string `json:"place"`
	// Message says what is wrong, what was found, and what to do.
	Message string `json:"message"`
}

// Capacity of one Prism Element beside what is needed there while all rollouts are at their peak.
type Capacity struct {
	// Account and Element by name.
	Account string `json:"account"`
	Element string `json:"element"`
	// Clusters that need something there, by name.
	Clusters []string `json:"clusters"`
	// NeedVCPUs and NeedMemoryBytes at the peak.
	NeedVCPUs       int64 `json:"needVCPUs"`
	NeedMemoryBytes int64 `json:"needMemoryBytes"`
	// FreeVCPUs and FreeMemoryBytes, with OneHostLost where there is more than one host. Only where Known.
	FreeVCPUs       int64 `json:"freeVCPUs"`
	FreeMemoryBytes int64 `json:"freeMemoryBytes"`
	OneHostLost     bool  `json:"oneHostLost"`
	// Known: Prism Central told what is free; else Why it did not.
	Known bool   `json:"known"`
	Why   string `json:"why,omitempty"`
}

// Mistake in the files.
type Mistake struct {
	// Place as "file:line"; may be empty.
	Place string `json:"place"`
	// Message says what is wrong and what to do.
	Message string `json:"message"`
}
