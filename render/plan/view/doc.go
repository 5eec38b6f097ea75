// Package view shows a [Report] of plans: as text for people, as Markdown for pull requests, as versioned JSON for
// machines. All three are drawn from the same value, decide nothing, and hold no secret value, not even a digest of one.
package view
