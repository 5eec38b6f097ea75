// Package gitsource reads one revision of a Git repository into memory and
// serves its files as an fs.FS.
//
// There is no checkout and no process: objects go from the wire into a bounded
// store, and the file system reads them from there. An unchanged remote costs
// one ref listing; a change costs that listing and one fetch of depth 1.
//
// The package speaks Git's own protocol over its own connections, because the
// clients of go-git and net/http are shared by the whole process: another
// package that relaxes TLS on http.DefaultTransport must not relax it here,
// and neither ~/.ssh/config nor an SSH agent may decide where we connect.
//
// OpenLocal reads what is committed in a clone of this machine instead, and Merge
// puts revisions together as Git would.
//
// It knows nothing of Kubernetes; the caller reads Secrets and passes their
// data on.
package gitsource
