package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// full says whether to build Refract itself, which takes many minutes where nothing of it is compiled yet.
func full() bool { return os.Getenv("REFRACT_PROOF") == "full" }

// A program in the place of Refract, with one dependency. It is built in seconds.
var sample = map[string]string{
	".gitignore": "/dist/\n",
	"LICENSE":    "The terms.\n",
	"go.mod":     "module github.com/refract-dev/refract\n\ngo 1.26.0\n\nrequire github.com/opencontainers/go-digest v1.0.0\n",
	"main.go": `package main

import (
	"fmt"
	"os"

	_ "github.com/opencontainers/go-digest"

	"github.com/refract-dev/refract/controllers/cli"
)

func main() { fmt.Println("refract", cli.Version, os.Getuid(), os.Environ()) }
`,
	"controllers/cli/version.go": "package cli\n\nvar Version string\n",
}

const (
	sampleDate    = "2026-01-02T03:04:05Z"
	sampleVersion = "v0.3.0"
)

// sampleRepository commits the sample program, tagged with a version.
func sampleRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range sample {
		write(t, filepath.Join(dir, name), content)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for line := range strings.Lines(string(sums)) {
		if strings.Contains(line, "opencontainers/go-digest ") {
			own = append(own, line)
		}
	}
	write(t, filepath.Join(dir, "go.sum"), strings.Join(own, ""))
	git(t, dir, "init", "--quiet", "--initial-branch=main")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "--quiet", "--message=Begin")
	git(t, dir, "tag", sampleVersion)
	return dir
}

// clone checks a repository out at another path.
func clone(t *testing.T, repository string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a", "checkout", "elsewhere")
	git(t, ".", "clone", "--quiet", "--no-hardlinks", repository, dir)
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(
		os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_AUTHOR_DATE="+sampleDate, "GIT_COMMITTER_DATE="+sampleDate,
	)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, said)
	}
	return strings.TrimSpace(string(said))
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// built builds an image of a checkout.
func built(t *testing.T, o options) result {
	t.Helper()
	if o.out == "" {
		o.out = filepath.Join(t.TempDir(), "image")
	}
	made, err := build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// serveRegistry starts a registry on the loopback network and returns its host and port.
func serveRegistry(t *testing.T, referrers bool) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(quiet)))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func parse(t *testing.T, reference string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// packed is one entry of an image, as it is in a layer.
type packed struct {
	header  *tar.Header
	content []byte
}

// unpack returns what an image holds, by name.
func unpack(t *testing.T, image v1.Image) map[string]packed {
	t.Helper()
	stream := mutate.Extract(image)
	defer func() { _ = stream.Close() }()
	found := map[string]packed{}
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		found[header.Name] = packed{header, content.Bytes()}
	}
}

// rootOf writes an image's files below a new directory, which every user may enter.
func rootOf(t *testing.T, image v1.Image) string {
	t.Helper()
	root, err := os.MkdirTemp("", "refract-root-") //nolint:usetesting // t.TempDir lies where only its owner may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	files := unpack(t, image)
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range append([]string{""}, names...) {
		at := filepath.Join(root, name)
		mode := os.FileMode(0o755)
		if f, ok := files[name]; ok {
			mode = f.header.FileInfo().Mode()
			if f.header.Typeflag == tar.TypeReg {
				write(t, at, string(f.content))
			} else if err := os.MkdirAll(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(at, mode); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
