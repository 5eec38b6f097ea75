package gitsource

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Open implements fs.FS.
func (f *files) Open(name string) (fs.File, error) {
	n, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	info, err := f.info(n)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	info.name = base(name)
	if info.IsDir() {
		entries, listErr := f.list(n)
		if listErr != nil {
			return nil, pathError("open", name, listErr)
		}
		return &openDir{info: info, entries: entries}, nil
	}
	data, err := f.blob(n)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &openFile{info: info, Reader: bytes.NewReader(data)}, nil
}

// ReadFile implements fs.ReadFileFS.
func (f *files) ReadFile(name string) ([]byte, error) {
	n, err := f.find("read", name, true)
	if err != nil {
		return nil, err
	}
	data, err := f.blob(n)
	return bytes.Clone(data), pathError("read", name, err)
}

// ReadDir implements fs.ReadDirFS.
func (f *files) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	entries, err := f.list(n)
	return entries, pathError("readdir", name, err)
}

// Stat implements fs.StatFS.
func (f *files) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, true) }

// Lstat implements fs.ReadLinkFS.
func (f *files) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, false) }

func (f *files) stat(op, name string, follow bool) (fs.FileInfo, error) {
	n, err := f.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	info, err := f.info(n)
	if err != nil {
		return nil, pathError(op, name, err)
	}
	info.name = base(name)
	return info, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f *files) ReadLink(name string) (string, error) {
	n, err := f.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.mode != filemode.Symlink {
		return "", pathError("readlink", name, fs.ErrInvalid)
	}
	l, err := f.link(n, 1)
	return l.target, pathError("readlink", name, err)
}

// Hash implements Hasher.
func (f *files) Hash(name string) (string, error) {
	n, err := f.find("hash", name, true)
	if err != nil {
		return "", err
	}
	return n.hash.String(), nil
}

func (f *files) find(op, name string, follow bool) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, pathError(op, name, fs.ErrInvalid)
	}
	n, err := f.lookup(name, follow)
	return n, pathError(op, name, err)
}

// pathError wraps err with the path that was asked for. A FileError names the
// offending path itself, which through a link is another one.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (f *files) info(n node) (fileInfo, error) {
	info := fileInfo{name: n.name}
	switch n.mode {
	case filemode.Dir:
		info.mode = fs.ModeDir | 0o555
		return info, nil
	case filemode.Submodule:
		info.mode = fs.ModeIrregular
		return info, nil
	case filemode.Symlink:
		info.mode = fs.ModeSymlink | 0o444
	case filemode.Executable:
		info.mode = 0o555
	default:
		info.mode = 0o444
	}
	data, ok := f.store.get(plumbing.BlobObject, n.hash)
	if !ok {
		return info, &FileError{n.path, ErrRefused, "its contents are missing from the repository"}
	}
	info.size = int64(len(data))
	return info, nil
}

// blob returns a file's contents, or why it is refused.
func (f *files) blob(n node) ([]byte, error) {
	switch n.mode {
	case filemode.Submodule:
		return nil, refuseSubmodule(n.path)
	case filemode.Dir:
		return nil, fs.ErrInvalid
	default:
	}
	data, ok := f.store.get(plumbing.BlobObject, n.hash)
	switch {
	case !ok:
		return nil, &FileError{n.path, ErrRefused, "its contents are missing from the repository"}
	case int64(len(data)) > f.limits.MaxFileBytes:
		return nil, limitAt(n.path, "is %d bytes, the limit for one file is %d", len(data), f.limits.MaxFileBytes)
	case isPointer(data):
		return nil, &FileError{n.path, ErrRefused, "is a Git LFS pointer, and LFS is not fetched; commit the file itself or list it in .sourceignore"}
	}
	return data, nil
}

// isPointer recognises the first line of every LFS pointer file.
func isPointer(data []byte) bool {
	return len(data) < maxPointerBytes &&
		(bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) ||
			bytes.HasPrefix(data, []byte("version https://hawser.github.com/spec/")))
}

func refuseSubmodule(path string) error {
	return &FileError{path, ErrRefused, "is a submodule, and submodules are not fetched; commit its files or list it in .sourceignore"}
}

func limitAt(path, format string, args ...any) error {
	return &FileError{path, ErrLimit, fmt.Sprintf(format, args...)}
}

func (f *files) list(n node) ([]fs.DirEntry, error) {
	if n.mode == filemode.Submodule {
		return nil, refuseSubmodule(n.path)
	}
	if n.mode != filemode.Dir {
		return nil, fs.ErrInvalid
	}
	d, err := f.dir(n.path, n.hash)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, 0, len(d.names))
	for _, name := range d.names {
		info, err := f.info(node{d.entries[name], join(n.path, name)})
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

// fileInfo has no time: a commit's files have none of their own, and a clock
// in a snapshot would make equal snapshots differ.
type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

type openFile struct {
	*bytes.Reader
	info fileInfo
}

func (o *openFile) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *openFile) Close() error               { return nil }

type openDir struct {
	info    fileInfo
	entries []fs.DirEntry
	at      int
}

func (o *openDir) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *openDir) Close() error               { return nil }

func (o *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: o.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (o *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	left := o.entries[o.at:]
	if n > 0 && len(left) == 0 {
		return nil, io.EOF
	}
	if n > 0 && n < len(left) {
		left = left[:n]
	}
	o.at += len(left)
	return append([]fs.DirEntry(nil), left...), nil
}
