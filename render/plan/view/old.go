package view

import (
	"io"

	"github.com/refract-dev/refract/render/plan"
)

// Text writes plans as WriteText does.
func Text(w io.Writer, plans ...plan.Plan) error {
	return WriteText(w, reportOf(plans), TextOptions{Full: true})
}

// JSON writes plans as WriteJSON does.
func JSON(w io.Writer, plans ...plan.Plan) error { return WriteJSON(w, reportOf(plans)) }

// NewDocument shows plans in the order given.
func NewDocument(plans ...plan.Plan) Document { return DocumentOf(reportOf(plans)) }

func reportOf(plans []plan.Plan) Report {
	var r Report
	for _, p := range plans {
		r.Predicted = r.Predicted || p.Predicted
		r.Clusters = append(r.Clusters, ClusterReport{Plan: p})
	}
	return r
}
