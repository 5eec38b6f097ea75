package view

import (
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// OnPrism is what the operator found in Prism Central about one cluster, read from the status: it is about what was
// accepted before, not about the files.
type OnPrism struct {
	// Cluster by name.
	Cluster string `json:"cluster"`
	// Machines that differ from what was accepted, as of the last inventory.
	Machines []MachineDiffers `json:"machines"`
	// Preflight of the last plan that made machines and found something; nil when there was none.
	Preflight *LastPreflight `json:"preflight,omitempty"`
	// Unknown parts of Prism Central, which could not be read: nothing follows from what is not listed about them.
	Unknown []v1alpha1.UnknownPart `json:"unknown"`
}

// MachineDiffers is one difference of a virtual machine.
type MachineDiffers struct {
	// VM by name.
	VM string `json:"vm"`
	// Field that differs; empty for the VM as a whole.
	Field string `json:"field,omitempty"`
	// Wanted and Found values; empty for nothing.
	Wanted string `json:"wanted,omitempty"`
	Found  string `json:"found,omitempty"`
	// Since when, in UTC.
	Since time.Time `json:"since"`
}

// LastPreflight is the outcome of one preflight.
type LastPreflight struct {
	// Passed is the status of PreflightPassed: True, False or Unknown.
	Passed string `json:"passed"`
	// Reason of that condition.
	Reason string `json:"reason"`
	// Since when, in UTC.
	Since time.Time `json:"since"`
	// Findings, every one.
	Findings []v1alpha1.PreflightFinding `json:"findings"`
}
