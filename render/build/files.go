package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
)

// ErrNotFound is wrapped by errors about an entry that is not in the snapshot.
var ErrNotFound = errors.New("not in the snapshot")

// Resolve follows the symbolic links in name and returns the path of what they lead to, relative to the snapshot's
// root. A link that is absolute or leaves the snapshot is an error; so is what does not exist (ErrNotFound). Nothing is
// opened. Links are seen when files implements fs.ReadLinkFS; any other fs.FS must itself keep them inside.
func Resolve(files fs.FS, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", fmt.Errorf("%q is not a path inside the snapshot", name)
	}
	links, ok := files.(fs.ReadLinkFS)
	if !ok {
		if _, err := fs.Stat(files, name); err != nil {
			return "", notFound(name, err)
		}
		return name, nil
	}
	done, rest, hops := ".", strings.Split(name, "/"), 0
	for len(rest) > 0 {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		info, err := links.Lstat(next)
		if err != nil {
			return "", notFound(name, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if hops++; hops > maxLinks {
			return "", fmt.Errorf("%q follows more than %d symbolic links", name, maxLinks)
		}
		to, err := follow(links, next)
		if err != nil {
			return "", err
		}
		done, rest = ".", append(strings.Split(to, "/"), rest...)
	}
	return done, nil
}

// follow returns where a link leads to.
func follow(links fs.ReadLinkFS, name string) (string, error) {
	target, err := links.ReadLink(name)
	if err != nil {
		return "", fmt.Errorf("read symbolic link %q: %w", name, err)
	}
	to := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || !fs.ValidPath(to) {
		return "", fmt.Errorf("symbolic link %q leaves the snapshot (it points to %q): replace it by the file itself", name, target)
	}
	return to, nil
}

func notFound(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q is %w", name, ErrNotFound)
	}
	return fmt.Errorf("look for %q: %w", name, err)
}

// ReadFile reads a regular file of at most MaxFileBytes, following links as Resolve does.
func ReadFile(files fs.FS, name string) ([]byte, error) {
	resolved, err := Resolve(files, name)
	if err != nil {
		return nil, err
	}
	return readResolved(files, resolved)
}

func readResolved(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, notFound(name, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("the file is larger than %d MiB: split it", MaxFileBytes>>20)
	}
	return data, nil
}

// Local returns the path, relative to the snapshot's root, of an entry that a file in dir refers to. An entry that is
// not a relative path inside the snapshot (a URL, a git address, an absolute path, one that climbs out) is an error.
func Local(dir, entry string) (string, error) {
	switch {
	case strings.TrimSpace(entry) == "":
		return "", errors.New("the path is empty")
	case remote(entry):
		return "", fmt.Errorf("%q is a remote address and nothing is fetched: copy it into the repository and refer to it by a relative path", entry)
	case path.IsAbs(entry) || strings.HasPrefix(entry, "~") || (len(entry) > 1 && entry[1] == ':'):
		return "", fmt.Errorf("%q is an absolute path: use one relative to this file", entry)
	case strings.ContainsAny(entry, "\\\x00\n\r"):
		return "", fmt.Errorf("%q is not a relative path: separate its parts by slashes", entry)
	}
	name := path.Join(dir, entry)
	if !fs.ValidPath(name) {
		return "", fmt.Errorf("%q leaves the snapshot: keep what is referred to inside the repository", entry)
	}
	return name, nil
}

func remote(entry string) bool {
	lower := strings.ToLower(strings.TrimSpace(entry))
	if strings.Contains(lower, "://") || strings.Contains(lower, "?ref=") || strings.Contains(lower, "?version=") {
		return true
	}
	for _, prefix := range []string{"git::", "git@", "gh:", "http:", "https:", "ssh:", "file:", "oci:"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	user, host, found := strings.Cut(lower, "@") // user@host:path, as scp has it
	return found && !strings.Contains(user, "/") && strings.Contains(host, ":")
}

// looksRemote says whether an entry that is not in the snapshot was probably meant as an address.
func looksRemote(entry string) bool {
	first, _, found := strings.Cut(strings.ToLower(entry), "/")
	return found && strings.Trim(first, ".") != "" && strings.Contains(first, ".") || strings.Contains(entry, ".git")
}

// IsKustomization says whether a directory is one that kustomize builds.
func IsKustomization(files fs.FS, dir string) bool {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if _, err := Resolve(files, path.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
