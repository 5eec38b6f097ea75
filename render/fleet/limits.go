package fleet

// Bounds on what a directory may declare, beside those of package build.
const (
	// MaxFiles is the number of YAML files that are read below the path.
	MaxFiles = 10_000
	// MaxObjectBytes is the size of a decoded account, profile or cluster as JSON, with patch files inlined: it must
	// fit into an API object.
	MaxObjectBytes = 512 << 10
	// MaxLayerBytes is the size of a built layer as JSON.
	MaxLayerBytes = 8 << 20
	// MaxPatchBytes is the size of a patch, inline or in a file, as in the CRDs.
	MaxPatchBytes = 64 << 10
)
