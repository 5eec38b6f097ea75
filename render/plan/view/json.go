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

// Document is what JSON writes. Within a version fields are only added.
type Document struct {
	// APIVersion is Version.
	APIVersion string `json:"apiVersion"`
	// Kind is "PlanList".
	Kind string `json:"kind"`
	// Summary over all clusters in one line.
	Summary string `json:"summary"`
	// Clusters in the order given.
	Clusters []Cluster `json:"clusters"`
}

// Cluster is the plan of one cluster.
type Cluster struct {
	// Cluster by name.
	Cluster string `json:"cluster"`
	// Digest to approve; empty when nothing changes.
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
	// Changes, every one.
	Changes []plan.Change `json:"changes"`
	// Foreign objects in the way.
	Foreign []plan.Foreign `json:"foreign"`
}

// NewDocument shows plans in the order given. It holds no secret value.
func NewDocument(plans ...plan.Plan) Document {
	doc := Document{APIVersion: Version, Kind: "PlanList", Summary: plan.Summarize(plans), Clusters: []Cluster{}}
	for _, p := range plans {
		doc.Clusters = append(doc.Clusters, Cluster{
			Cluster: p.Cluster, Digest: p.Digest(), Severity: p.Severity(), Summary: p.Summary(),
			Recreated: p.Recreated(), Removed: p.Removed(), Predicted: p.Predicted,
			Changes: append([]plan.Change{}, p.Changes...), Foreign: append([]plan.Foreign{}, p.Foreign...),
		})
	}
	return doc
}

// JSON writes plans for machines, as one indented Document. It holds no secret value. An error is the writer's.
func JSON(w io.Writer, plans ...plan.Plan) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(NewDocument(plans...)); err != nil {
		return fmt.Errorf("write plan as JSON: %w", err)
	}
	return nil
}
