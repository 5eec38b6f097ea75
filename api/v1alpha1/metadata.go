package v1alpha1

// Labels and annotations in the domain refract.dev. All of them are refused in files: stamps and approvals are not
// written by hand in Git.
const (
	// MetadataDomain is the domain of all labels and annotations below.
	MetadataDomain = "refract.dev"

	// ClusterLabel names the cluster that a rendered object belongs to. Together with an Apply entry of field manager
	// FieldManager it makes an object part of that cluster's inventory.
	ClusterLabel = "refract.dev/cluster"
	// ProtectLabel, "true" on a Cluster, Namespace or CustomResourceDefinition, has the admission policy refuse its deletion.
	ProtectLabel = "refract.dev/protect"
	// LayerLabel marks the Secrets that hold built layers; its value is the layer's content digest, shortened.
	LayerLabel = "refract.dev/layer"
	// ReviewedLabel marks the Secrets that hold what a pull request showed of a Fleet; its value is the Fleet's name.
	ReviewedLabel = "refract.dev/reviewed"
	// TreeLabel, on the first Secret of what a pull request showed, is the Git tree hash of the Fleet's path there.
	TreeLabel = "refract.dev/tree"

	// FleetAnnotation names the Fleet that mirrors an object, on mirrored objects.
	FleetAnnotation = "refract.dev/fleet"
	// AcceptedDigestAnnotation holds one digest over a mirrored cluster's spec, its profiles' digests and its account.
	AcceptedDigestAnnotation = "refract.dev/accepted-digest"
	// SourceAnnotation holds a digest of the repository and path that a mirrored object came from.
	SourceAnnotation = "refract.dev/source"
	// RevisionAnnotation holds the revision at which a mirrored cluster's own inputs last changed.
	RevisionAnnotation = "refract.dev/revision"
	// FileAnnotation holds the file and line that a mirrored object came from, "clusters/edge-01.yaml:3".
	FileAnnotation = "refract.dev/file"
	// ReleaseAtAnnotation holds the revision at which the Fleet released a cluster with deletion policy Orphan.
	ReleaseAtAnnotation = "refract.dev/release-at"
	// DeleteAtAnnotation holds the revision at which the Fleet deleted a cluster with deletion policy Delete.
	DeleteAtAnnotation = "refract.dev/delete-at"
	// ApprovedPlanAnnotation holds the digest of an approved plan.
	ApprovedPlanAnnotation = "refract.dev/approved-plan"
	// ApprovedByAnnotation holds the user name of who approved; the admission policy demands that it is the requester's.
	ApprovedByAnnotation = "refract.dev/approved-by"
	// ContentDigestAnnotation holds, on templates, the digest of the content of our last apply.
	ContentDigestAnnotation = "refract.dev/content-digest"
	// CredentialsAnnotation holds, on a cluster's credentials and on its NutanixCluster, which version of the account's
	// credentials CAPX was last woken for. It tells nothing about their content.
	CredentialsAnnotation = "refract.dev/credentials" //nolint:gosec // the name of an annotation, no secret
	// HandsOffAnnotation, written by people on a Machine, stops repairs of its virtual machine, whatever its value.
	HandsOffAnnotation = "refract.dev/hands-off"

	// ApproveTrailer is the Git commit trailer that approves a plan: "Refract-Approve: <digest>".
	ApproveTrailer = "Refract-Approve"
	// ApproveVerb is the custom RBAC verb on fleets and nutanixclusterspecs that an approver needs.
	ApproveVerb = "approve"

	// FieldManager is the server-side apply field manager of every rendered object.
	FieldManager = "refract"
	// FleetFieldManager is the server-side apply field manager of mirrored objects and of condition SourceAccepted.
	FleetFieldManager = "refract-fleet"
	// ClusterFieldManager writes the rest of a NutanixClusterSpec's status.
	ClusterFieldManager = "refract-cluster"

	// ReviewFieldManager writes condition ReviewsPosted of a Fleet.
	ReviewFieldManager = "refract-review"
	// AccountFieldManager writes the credentials that the account controller distributes.
	AccountFieldManager = "refract-account"

	// ClusterFinalizer keeps a NutanixClusterSpec until its deletion has been carried out.
	ClusterFinalizer = "refract.dev/cluster"
)
