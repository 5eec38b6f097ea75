// Package view shows plans: as text for people and as versioned JSON for machines.
package view

import (
	"io"

	"github.com/refract-dev/refract/render/plan"
)

// Text writes plans for people, a summary first.
func Text(w io.Writer, plans ...plan.Plan) error { return nil }

// JSON writes plans for machines, as one document of apiVersion plan.refract.dev/v1.
func JSON(w io.Writer, plans ...plan.Plan) error { return nil }
