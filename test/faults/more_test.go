package faults

const (
	adopted     = "adopted"
	unreachable = "unreachable"
	exhausted   = "exhausted"
	reader      = "reader"
)

