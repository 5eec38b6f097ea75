package gitsource

import "time"

// Limits bound what a repository may cost in memory and time. A zero field
// takes the value of DefaultLimits.
type Limits struct {
	// MaxFiles is the number of files, links and directories below the path.
	MaxFiles int
	// MaxFileBytes is the size of one file, wherever in the repository it is
	// read.
	MaxFileBytes int64
	// MaxTotalBytes is the size of all files below the path together.
	MaxTotalBytes int64
	// MaxDepth is the number of elements of a file's path.
	MaxDepth int
	// MaxPathBytes is the length of a file's path from the root.
	MaxPathBytes int
	// MaxPackBytes is what one fetch may transfer: the whole repository at
	// one commit, compressed.
	MaxPackBytes int64
	// MaxObjectBytes is what the objects of one fetch may measure inflated.
	MaxObjectBytes int64
	// MaxObjects is the number of objects of one fetch.
	MaxObjects int
	// MaxRefBytes is the size of the server's ref listing.
	MaxRefBytes int64
}

// DefaultLimits returns limits that hold thousands of clusters and that a
// manager with 512 MiB of memory survives: 10 000 files of at most 1 MiB and
// 32 MiB together below the path, 32 levels and 1024 bytes of path, and for the
// whole repository 64 MiB transferred, 256 MiB and 200 000 objects inflated,
// 16 MiB of refs.
func DefaultLimits() Limits {
	return Limits{
		MaxFiles:       10_000,
		MaxFileBytes:   1 << 20,
		MaxTotalBytes:  32 << 20,
		MaxDepth:       32,
		MaxPathBytes:   1024,
		MaxPackBytes:   64 << 20,
		MaxObjectBytes: 256 << 20,
		MaxObjects:     200_000,
		MaxRefBytes:    16 << 20,
	}
}

// DefaultTimeout bounds one call of Resolve, Snapshot or Messages.
const DefaultTimeout = 2 * time.Minute

// The bounds that need no knob.
const (
	maxIgnoreBytes  = 64 << 10 // One .sourceignore: its patterns are tried on every path.
	maxLinkHops     = 40       // As Linux.
	maxProblems     = 50       // FileErrors reported of one snapshot.
	maxCommitDepth  = 50       // The first step of deepening, before all history is fetched.
	maxRedirects    = 5
	maxPointerBytes = 1024 // The LFS specification: a pointer is smaller.
)

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	orDefault(&l.MaxFiles, d.MaxFiles)
	orDefault(&l.MaxFileBytes, d.MaxFileBytes)
	orDefault(&l.MaxTotalBytes, d.MaxTotalBytes)
	orDefault(&l.MaxDepth, d.MaxDepth)
	orDefault(&l.MaxPathBytes, d.MaxPathBytes)
	orDefault(&l.MaxPackBytes, d.MaxPackBytes)
	orDefault(&l.MaxObjectBytes, d.MaxObjectBytes)
	orDefault(&l.MaxObjects, d.MaxObjects)
	orDefault(&l.MaxRefBytes, d.MaxRefBytes)
	return l
}

func orDefault[T int | int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
