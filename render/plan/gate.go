package plan

import "github.com/refract-dev/refract/api/v1alpha1"

// Cause is why there is anything to do.
type Cause string

// Causes.
const (
	// CauseGit: the cluster's inputs differ from the accepted ones.
	CauseGit Cause = "Git"
	// CauseOperatorUpgrade: only the rendered objects differ, because the operator's version does.
	CauseOperatorUpgrade Cause = "OperatorUpgrade"
	// CauseDrift: neither differs; live was changed by another hand.
	CauseDrift Cause = "Drift"
)

// Unfinished is an accepted plan that is not carried out yet.
type Unfinished struct {
	// Plan that was accepted.
	Plan Plan
	// Recreated machines still to come.
	Recreated int
	// Removed machines still to go.
	Removed int
	// Approved: a person gave their word for it, so that it is not counted.
	Approved bool
}

// ClusterInput is one cluster with a new plan or an unfinished one.
type ClusterInput struct {
	// Plan that is new; an empty one when there is only an unfinished one.
	Plan Plan
	// Cause of the plan. Default: CauseGit.
	Cause Cause
	// Unfinished accepted plan; nil when there is none.
	Unfinished *Unfinished
	// Limits of the cluster's own spec; they may only tighten.
	Limits v1alpha1.Limits
	// Recorded is the held plan as it was last recorded and shown; nil when none was. An approval of its digest counts for
	// every plan that it covers.
	Recorded *Plan
	// Approved digests, from the annotation on this cluster. Leave out those that are spent or [Expired].
	Approved []string
	// Review of the revision that the plan comes from; asked about only when the cause is CauseGit.
	Review ReviewInput
}

// RemovalInput is one cluster whose file is gone and whose policy is not Protect.
type RemovalInput struct {
	// Plan from [Deletion] or [Orphan].
	Plan Plan
	// Limits of the cluster's own spec; they may only tighten.
	Limits v1alpha1.Limits
	// Recorded is the held removal as it was last recorded; nil when none was.
	Recorded *Plan
	// Review of the revision in which the file is gone.
	Review ReviewInput
}

// GateInput is the whole Fleet at one moment.
type GateInput struct {
	// Namespace and Fleet by name, for the commands in messages. An empty Fleet: a cluster that gates itself.
	Namespace, Fleet string
	// Limits of the Fleet, see [LimitsFrom].
	Limits Limits
	// Clusters by name: those with a new plan and those with an unfinished one.
	Clusters map[string]ClusterInput
	// Removals by cluster name.
	Removals map[string]RemovalInput
	// Deleting clusters that were accepted and are not gone yet and that nobody approved.
	Deleting int
	// Total clusters that the Fleet mirrors, those that vanish included.
	Total int
	// Vanishing clusters: their file is gone in this revision, whatever their policy.
	Vanishing int
	// Approved digests, from the annotation on the Fleet. Leave out those that are spent or [Expired].
	Approved []string
	// Trailers are the digests in commit trailers since the last attempted revision.
	Trailers []string
	// Recorded is what was held, by cluster name, when the Fleet's digest was last recorded and shown.
	Recorded map[string]Plan
	// Review of the revision that is gated.
	Review Review
}

// Decision is the gate's word on one cluster.
type Decision struct {
	// Accepted: mirror, apply or remove it.
	Accepted bool
	// Approved: accepted only by a person's word; the approval is spent when the plan is carried out.
	Approved bool
	// ByReview: that word is the approval of the review.
	ByReview bool
	// Reason is a condition reason: Accepted, LimitExceeded, ApprovalRequired, ReviewRequired, ReviewedPlanExceeded,
	// Forbidden or AlreadyExists.
	Reason string
	// Message says what is held, by which limit, and how to go on. Empty when accepted.
	Message string
	// Digest to approve. Empty when there is nothing that an approval could help.
	Digest string
}

// GateResult is the gate's word on the Fleet.
type GateResult struct {
	// Decisions by cluster name, for every cluster and every removal; a cluster without a new plan is accepted.
	Decisions map[string]Decision
	// Held plans by cluster name that an approval would let go on; what to record under Digest.
	Held map[string]Plan
	// Digest over Held alone; empty when nothing waits for an approval. Approving it on the Fleet approves all of Held.
	Digest string
	// Severity is the worst of Held.
	Severity v1alpha1.Severity
	// Summary of Held in one line; "no change" when nothing is held.
	Summary string
	// Message says how to let all of Held go on. Empty when nothing is held.
	Message string
}
