package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus: Reconciling and Stalled are abnormal-true and absent
// otherwise.
const (
	// ReadyCondition sums up. True: accepted, applied and healthy. Unknown: rolling, with Reconciling. False: awaiting
	// approval, held or failed, with Stalled where a person must act.
	ReadyCondition = "Ready"
	// ReconcilingCondition is True while work goes on without a person.
	ReconcilingCondition = "Reconciling"
	// StalledCondition is True while a person must act; its message says what to do.
	StalledCondition = "Stalled"
	// SourceAcceptedCondition on a NutanixClusterSpec says whether what Git declares is what the spec holds. Written by
	// the Fleet controller alone.
	SourceAcceptedCondition = "SourceAccepted"
	// PreflightPassedCondition says how the checks against Prism Central came out before the wanted state is applied.
	// False: the change is held. Unknown: Prism Central does not say, which holds nothing, or could not be asked at all:
	// what makes machines waits then where the Fleet enforces existence. status.preflight lists why.
	PreflightPassedCondition = "PreflightPassed"
	// InSyncCondition says whether the live objects and virtual machines equal the wanted ones.
	InSyncCondition = "InSync"
	// ReviewsPostedCondition, on a Fleet with spec.review.provider, says whether every open pull request carries its plan.
	// It says nothing of the Fleet itself: Ready is the same without it. Written by the reviewer alone.
	ReviewsPostedCondition = "ReviewsPosted"
	// PausedCondition is True while nothing is applied because the cluster is paused or being moved; the message names who.
	PausedCondition = "Paused"
	// WebhookReadyCondition on a Fleet with spec.webhook says whether calls of its Git server are taken. Where they are not,
	// the repository is read every interval all the same.
	WebhookReadyCondition = "WebhookReady"
)

// Reasons of ReadyCondition, ReconcilingCondition and StalledCondition.
const (
	// SucceededReason: everything wanted is so.
	SucceededReason = "Succeeded"
	// ProgressingReason: applied, machines are coming or rolling.
	ProgressingReason = "Progressing"
	// ProgressingWithRetryReason: the last attempt failed and is retried.
	ProgressingWithRetryReason = "ProgressingWithRetry"
	// SuspendedReason: spec.suspend is set.
	SuspendedReason = "Suspended"

	// AuthenticationFailedReason: the Git server or Prism Central refused the credentials.
	AuthenticationFailedReason = "AuthenticationFailed"
	// RepositoryUnreachableReason: the Git server did not answer; retried.
	RepositoryUnreachableReason = "RepositoryUnreachable"
	// RefNotFoundReason: the branch, tag or commit is not there.
	RefNotFoundReason = "RefNotFound"
	// PathNotFoundReason: spec.git.path is not in the revision.
	PathNotFoundReason = "PathNotFound"
	// SourceRefusedReason: the repository holds something refused or is over a limit.
	SourceRefusedReason = "SourceRefused"
	// SecretNotFoundReason: a referenced Secret or ConfigMap, or a key of it, is missing.
	SecretNotFoundReason = "SecretNotFound"
	// DecodeFailedReason: a file does not parse or is wrong.
	DecodeFailedReason = "DecodeFailed"
	// RenderFailedReason: the files parse but yield no valid objects.
	RenderFailedReason = "RenderFailed"
	// ClustersHeldReason, on a Fleet: some clusters are held; status.failures and status.plan say which and why.
	ClustersHeldReason = "ClustersHeld"

	// ApplyFailedReason: the API server refused objects; the message carries its words.
	ApplyFailedReason = "ApplyFailed"
	// AlreadyExistsReason: an object of that name exists and is not ours.
	AlreadyExistsReason = "AlreadyExists"
	// MirrorEditedReason: the mirrored spec was edited by hand; it is restored, nothing was applied.
	MirrorEditedReason = "MirrorEdited"
	// ClusterDeletedElsewhereReason: the CAPI Cluster was deleted or is gone by another hand.
	ClusterDeletedElsewhereReason = "ClusterDeletedElsewhere"
	// DeletionBlockedReason: a deletion does not get on; the message names object, finalizer and controller.
	DeletionBlockedReason = "DeletionBlocked"
	// RolloutStuckReason: no progress for a time; the message names object, reason and next step.
	RolloutStuckReason = "RolloutStuck"
	// UnsupportedReason: management cluster, CAPI or CAPX version, or the cluster's form, is not supported.
	UnsupportedReason = "Unsupported"
	// PathNeedsFleetReason: a cluster applied without a Fleet uses path, which needs files.
	PathNeedsFleetReason = "PathNeedsFleet"
	// ReferenceNotFoundReason: the account, a profile or a profile version does not exist.
	ReferenceNotFoundReason = "ReferenceNotFound"
	// DeletingReason: the cluster is being deleted.
	DeletingReason = "Deleting"
	// UnhealthyReason: applied and rolled out, but not available.
	UnhealthyReason = "Unhealthy"
)

// Reasons of SourceAcceptedCondition. LimitExceeded, ApprovalRequired, ReviewRequired, ReviewedPlanExceeded and Forbidden
// also stand on Ready and Stalled.
const (
	// AcceptedReason: the mirrored spec is what Git declares.
	AcceptedReason = "Accepted"
	// LimitExceededReason: the change passes a limit of the Fleet or of the cluster.
	LimitExceededReason = "LimitExceeded"
	// ApprovalRequiredReason: the change needs a person's word, whatever the limits.
	ApprovalRequiredReason = "ApprovalRequired"
	// ReviewRequiredReason: the Fleet requires reviews, and the files of this revision were not planned in a pull request.
	ReviewRequiredReason = "ReviewRequired"
	// ReviewedPlanExceededReason: the change does more than the pull request showed, or does not fit any more as it showed;
	// the message says what.
	ReviewedPlanExceededReason = "ReviewedPlanExceeded"
	// ForbiddenReason: the change is refused; the message says what to commit instead.
	ForbiddenReason = "Forbidden"
	// InvalidReason: the cluster's own files are wrong.
	InvalidReason = "Invalid"
	// ConflictReason: name or endpoint is in use, or another Fleet declares the cluster.
	ConflictReason = "Conflict"
	// FileRemovedReason: the file is gone and the deletion policy keeps the cluster.
	FileRemovedReason = "FileRemoved"
	// FleetGoneReason: the Fleet was deleted; the cluster keeps its last accepted spec.
	FleetGoneReason = "FleetGone"
	// NoFleetReason: the cluster was applied by hand and gates itself.
	NoFleetReason = "NoFleet"
	// SourceUnknownReason: the revision could not be read or planned; nothing is known of this cluster.
	SourceUnknownReason = "SourceUnknown"
)

// Reasons of ReviewsPostedCondition, beside Succeeded, Suspended, SecretNotFound, AuthenticationFailed and
// RepositoryUnreachable. All but Succeeded leave the pull requests as they were.
const (
	// ForgeUnreachableReason: the forge does not answer, or not with anything useful; retried.
	ForgeUnreachableReason = "ForgeUnreachable"
	// ForgeRefusedReason: the forge or its client refuses what the Fleet asks for: a person must correct spec.review.
	ForgeRefusedReason = "ForgeRefused"
	// RateLimitedReason: the forge wants to be left alone for a while, and is.
	RateLimitedReason = "RateLimited"
	// ReviewFailedReason: some pull request could not be planned or told; retried. The message names it.
	ReviewFailedReason = "ReviewFailed"
	// NoBranchReason: spec.git.ref is a tag or commit, and pull requests go to branches.
	NoBranchReason = "NoBranch"
)

// Reasons of a CloudAccount's ReadyCondition and StalledCondition, beside SecretNotFound and AuthenticationFailed.
const (
	// UntrustedCertificateReason: Prism Central's certificate is signed by an unknown authority, or for another name.
	UntrustedCertificateReason = "UntrustedCertificate"
	// NameNotFoundReason: Prism Central's host name does not resolve.
	NameNotFoundReason = "NameNotFound"
	// PrismUnreachableReason: Prism Central does not answer; retried.
	PrismUnreachableReason = "PrismUnreachable"
	// PrismTooOldReason: Prism Central does not speak the version of the API that Refract needs.
	PrismTooOldReason = "PrismTooOld"
	// PrismThrottledReason: Prism Central answers that it gets too many requests; retried.
	PrismThrottledReason = "PrismThrottled"
	// PrismMisbehavingReason: Prism Central's answers make no sense; retried.
	PrismMisbehavingReason = "PrismMisbehaving"
	// CredentialsNotProvedReason: the changed Secret has not been proved, so the credentials before it stay in use.
	CredentialsNotProvedReason = "CredentialsNotProved"
)

// Reasons of PreflightPassedCondition. PreflightFailed and CapacityShort also stand on Ready and Stalled when they hold a
// change.
const (
	// PreflightPassedReason: every check passed.
	PreflightPassedReason = "Passed"
	// PreflightFailedReason: a check that the Fleet enforces failed; the change is held.
	PreflightFailedReason = "PreflightFailed"
	// PreflightWarnedReason: a check failed that the Fleet only warns of; the change goes on.
	PreflightWarnedReason = "PreflightWarned"
	// PreflightUnknownReason: Prism Central could not be asked, or does not say. Also on Reconciling while a change waits
	// for the first answer.
	PreflightUnknownReason = "PreflightUnknown"
	// CapacityShortReason: there may not be enough for the rollout's peak. Without Enforce the condition is True, and the
	// change goes on.
	CapacityShortReason = "CapacityShort"
	// PreflightOffReason: the Fleet turned the checks off.
	PreflightOffReason = "PreflightOff"
)

// Reasons of InSyncCondition and PausedCondition.
const (
	// InSyncReason: live equals wanted.
	InSyncReason = "InSync"
	// DriftedReason: live differs from wanted and is reported, not corrected.
	DriftedReason = "Drifted"
	// MachinesDriftedReason: virtual machines in Prism Central differ from the wanted ones.
	MachinesDriftedReason = "MachinesDrifted"
	// ContestedReason: another manager keeps changing a field of ours; it is no longer corrected for now.
	ContestedReason = "Contested"
	// PendingReason: nothing has been compared yet.
	PendingReason = "Pending"
	// PausedByOtherReason: Cluster.spec.paused or the paused annotation was set by another hand.
	PausedByOtherReason = "PausedByOther"
	// PausedBySpecReason: spec.paused is true.
	PausedBySpecReason = "PausedBySpec"
	// MovingReason: clusterctl is moving the cluster.
	MovingReason = "Moving"
	// NotPausedReason: nothing is paused.
	NotPausedReason = "NotPaused"
)

// Reasons of WebhookReadyCondition, beside SecretNotFound.
const (
	// ListeningReason: calls that are signed with the token of the Secret are taken; the message says where.
	ListeningReason = "Listening"
	// NotListeningReason: the operator was told to take no calls.
	NotListeningReason = "NotListening"
)
