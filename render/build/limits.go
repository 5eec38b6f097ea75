package build

// Bounds on what files from Git may cost. A Fleet that needs more is split, or a layer fetched as a chart.
const (
	// MaxFileBytes is the size of a single file that is read.
	MaxFileBytes = 4 << 20
	// MaxDocuments is the number of YAML documents in a file.
	MaxDocuments = 2000
	// MaxDepth is how deep maps and lists may be nested in a document.
	MaxDepth = 100
	// MaxNodes is the number of values in a file, with aliases counted as often as they are used.
	MaxNodes = 500_000
	// MaxBuildNodes is the number of values in one build, counted as often as files and aliases are used.
	MaxBuildNodes = 1_000_000
	// MaxBuildFiles is the number of files that one build may refer to.
	MaxBuildFiles = 2000
	// MaxBuildBytes is the size of all files that one build refers to, counted as often as files and aliases are used.
	MaxBuildBytes = 32 << 20
	// MaxPatchedBytes is the size, as JSON, of all objects that one patch selects, after it: no layer may have more.
	MaxPatchedBytes = 8 << 20
	// MaxSpreadBytes is what the patches, labels and replacements of one build may put into its objects: their size times
	// the number of objects that they may select.
	MaxSpreadBytes = 256 << 20
	// MaxDirectories is how many kustomizations one build may visit, each counted as often as it is referred to.
	MaxDirectories = 500
	// MaxObjects is the number of objects that one build may yield.
	MaxObjects = 5000
	// maxLinks is how many symbolic links may be followed for one path.
	maxLinks = 40
)

// MaxCopies is how many copy operations the JSON6902 patches of one build may have, and how many replacements that may
// copy what others have made: each can double an object.
const MaxCopies = 2
