package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var (
	quiet = log.New(io.Discard, "", 0)
	both  = []string{"linux/amd64", "linux/arm64"}
)

// TestSameCommitSameImage builds from two clones at different paths. The whole layout is the same, byte for byte.
func TestSameCommitSameImage(t *testing.T) {
	repository := sampleRepository(t)
	first := built(t, options{source: repository, platforms: both})
	second := built(t, options{source: clone(t, repository), platforms: both})
	same(t, first, second)
	if want := "refract:" + sampleVersion; first.name != want {
		t.Errorf("the image is called %s, want %s", first.name, want)
	}
	// What was there is replaced, not added to.
	if again := built(t, options{source: repository, out: first.out, platforms: both}); again.digest != first.digest {
		t.Errorf("built again over the first layout: %s, want %s", again.digest, first.digest)
	}
	same(t, first, second)
}

func same(t *testing.T, a, b result) {
	t.Helper()
	if a.digest != b.digest {
		t.Errorf("the same commit gave %s and %s", a.digest, b.digest)
	}
	for _, suffix := range []string{".tar", ".linux-amd64.cdx.json", ".linux-arm64.cdx.json"} {
		if !bytes.Equal(read(t, a.out+suffix), read(t, b.out+suffix)) {
			t.Errorf("the same commit gave different files %s%s", filepath.Base(a.out), suffix)
		}
	}
}

// TestArchive unpacks the tar file: it holds the whole layout, and the layout what refers to the image.
func TestArchive(t *testing.T) {
	made := built(t, options{source: sampleRepository(t), platforms: both})
	dir := t.TempDir()
	untar := exec.CommandContext(t.Context(), "tar", "--extract", "--file", made.out+".tar", "--directory", dir)
	if said, err := untar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err = validate.Index(top); err != nil {
		t.Errorf("the layout is not well-formed: %v", err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for _, d := range manifest.Manifests {
		held = append(held, fmt.Sprint(d.MediaType, " ", d.ArtifactType, " ", d.Annotations[refName]))
	}
	image, attached := string(types.OCIImageIndex)+"  "+sampleVersion, fmt.Sprint(types.OCIManifestSchema1, " ", billType, " ")
	if want := []string{image, attached, attached}; !slices.Equal(held, want) {
		t.Errorf("the layout lists %q, want %q", held, want)
	}
}

// TestChangesShow builds with files that no commit holds: whatever version is asked for, the image says so.
func TestChangesShow(t *testing.T) {
	repository := sampleRepository(t)
	platforms := []string{"linux/" + runtime.GOARCH}
	clean := built(t, options{source: repository, platforms: platforms})
	cases := map[string]struct {
		reason, file, version, want string
	}{
		"Changed":        {"a committed file differs", "main.go", "", sampleVersion + "-dirty"},
		"Untracked":      {"a new file may be compiled in", "more.go", "", sampleVersion + "-dirty"},
		"VersionGiven":   {"a release number does not hide it", "more.go", "v1.0.0", "v1.0.0-dirty"},
		"VersionIsDirty": {"it is said once", "more.go", "v1.0.0-dirty", "v1.0.0-dirty"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := clone(t, repository)
			content := "package main\n"
			if old, err := os.ReadFile(filepath.Join(dir, c.file)); err == nil {
				content = string(old) + "\n// Changed.\n"
			}
			write(t, filepath.Join(dir, c.file), content)
			made := built(t, options{source: dir, version: c.version, platforms: platforms})
			config, err := made.images[0].image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			labels := config.Config.Labels
			if got := labels["org.opencontainers.image.version"]; got != c.want || made.name != "refract:"+c.want {
				t.Errorf("%s: the label says %s, the name is %s; want version %s", c.reason, got, made.name, c.want)
			}
			if got := labels["org.opencontainers.image.revision"]; !strings.HasSuffix(got, "-dirty") {
				t.Errorf("%s: the revision is %s, want -dirty behind it", c.reason, got)
			}
			if made.digest == clean.digest {
				t.Errorf("%s: the digest is that of the clean checkout", c.reason)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	repository := sampleRepository(t)
	taken := t.TempDir()
	write(t, filepath.Join(taken, "thesis.txt"), "the only copy")
	cases := map[string]struct {
		reason  string
		options options
		want    string
	}{
		"NoCheckout": {"the revision is a part of the image", options{source: t.TempDir()}, "made from a Git checkout"},
		"Taken":      {"it deletes layouts only", options{source: repository, out: taken}, "name another directory"},
		"Version":    {"the linker would take it apart", options{source: repository, version: "v1 -X a=b"}, "version"},
		"Platform":   {"the image is static Linux", options{source: repository, platforms: []string{"windows/amd64"}}, "write linux/"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.options.out == "" {
				c.options.out = filepath.Join(t.TempDir(), "image")
			}
			if _, err := build(t.Context(), c.options); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got error %v, want one with %q", c.reason, err, c.want)
			}
		})
	}
	if string(read(t, filepath.Join(taken, "thesis.txt"))) != "the only copy" {
		t.Error("a file of somebody else was touched")
	}
}

// TestRegistry pushes to a registry and looks at what can be pulled from there.
func TestRegistry(t *testing.T) {
	made := built(t, options{source: sampleRepository(t), platforms: both})
	for name, referrers := range map[string]bool{"WithReferrers": true, "WithoutReferrers": false} {
		t.Run(name, func(t *testing.T) {
			repository := serveRegistry(t, referrers) + "/team/refract"
			var said bytes.Buffer
			if err := run(t.Context(), []string{"push", "--layout", made.out, repository}, &said); err != nil {
				t.Fatal(err)
			}
			tag := repository + ":" + sampleVersion
			if want := "pushed " + tag + "@" + made.digest + "\n"; said.String() != want {
				t.Errorf("push said %q, want %q", said.String(), want)
			}
			index, err := remote.Index(parse(t, tag))
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(index); err != nil {
				t.Errorf("the index is not well-formed: %v", err)
			}
			checkIndex(t, index, made.digest)
			for _, i := range made.images {
				checkReferrer(t, repository, i)
			}
		})
	}
}

func checkIndex(t *testing.T, index v1.ImageIndex, digest string) {
	t.Helper()
	if got, err := index.Digest(); err != nil || got.String() != digest {
		t.Errorf("the registry has %s (%v), the build printed %s", got, err, digest)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range manifest.Manifests {
		platforms = append(platforms, d.Platform.String())
		image, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, image, d.Platform)
	}
	if !slices.Equal(platforms, both) || manifest.MediaType != types.OCIImageIndex {
		t.Errorf("the index is a %s for %v, want an OCI index for %v", manifest.MediaType, platforms, both)
	}
	if got := manifest.Annotations["org.opencontainers.image.version"]; got != sampleVersion {
		t.Errorf("the index says version %q, want %s", got, sampleVersion)
	}
}

func checkImage(t *testing.T, image v1.Image, platform *v1.Platform) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	date, _ := time.Parse(time.RFC3339, sampleDate)
	if config.OS != platform.OS || config.Architecture != platform.Architecture || !config.Created.Equal(date) {
		t.Errorf("the config says %s/%s of %s, want %s of the commit's date", config.OS, config.Architecture, config.Created, platform)
	}
	if c := config.Config; c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/refract"}) || len(c.Cmd)+len(c.Env) > 0 {
		t.Errorf("it runs as %s with entrypoint %v, command %v and environment %v", c.User, c.Entrypoint, c.Cmd, c.Env)
	}
	for label, want := range map[string]string{
		"title": "refract", "licenses": "Apache-2.0", "version": sampleVersion, "created": sampleDate,
		"source": "https://github.com/refract-dev/refract", "description": description,
	} {
		if got := config.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	if got := config.Config.Labels["org.opencontainers.image.revision"]; len(got) != 40 {
		t.Errorf("label revision is %q, want a commit", got)
	}
	checkFiles(t, image, date)
}

// checkFiles demands exactly these files, of root, of the commit's date, and none that a user may change.
func checkFiles(t *testing.T, image v1.Image, date time.Time) {
	t.Helper()
	want := map[string]string{
		"etc": "drwxr-xr-x", "etc/group": "-rw-r--r--", "etc/passwd": "-rw-r--r--", "etc/ssl": "drwxr-xr-x",
		"etc/ssl/certs": "drwxr-xr-x", "etc/ssl/certs/ca-certificates.crt": "-rw-r--r--", "tmp": "dtrwxrwxrwx",
		"licenses": "drwxr-xr-x", "licenses/LICENSE": "-rw-r--r--", "licenses/third-party.txt": "-rw-r--r--",
		"refract": "-rwxr-xr-x",
	}
	files := unpack(t, image)
	for name, f := range files {
		h := f.header
		if got := h.FileInfo().Mode().String(); got != want[name] {
			t.Errorf("%s has mode %s, want %q", name, got, want[name])
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(date) {
			t.Errorf("%s is of %d:%d %s and %s, want root and the commit's date", name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
	}
	if len(files) != len(want) {
		t.Errorf("the image holds %d files, want %d", len(files), len(want))
	}
	if text := string(files["licenses/third-party.txt"].content); !strings.Contains(text, "github.com/opencontainers/go-digest@v1.0.0") ||
		!strings.Contains(text, "Apache License") || !strings.Contains(text, "The Go Authors") {
		t.Error("/licenses/third-party.txt lacks a module that is compiled in")
	}
}

// checkReferrer finds the bill of materials by the image's digest, and holds it against the program in the image.
func checkReferrer(t *testing.T, repository string, i platformImage) {
	t.Helper()
	of := parse(t, repository+"@"+i.digest.String())
	index, err := remote.Referrers(of.Context().Digest(i.digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("what refers to %s: %v, want one bill of materials", i.platform, manifest.Manifests)
	}
	attached := pull(t, repository, manifest.Manifests[0].Digest)
	m, err := attached.Manifest()
	if err != nil || m.ArtifactType != string(billType) || m.Subject.Digest != i.digest || len(m.Layers) != 1 {
		t.Fatalf("attached to %s is %v (%v), want its bill of materials", i.digest, m, err)
	}
	content, err := attached.LayerByDigest(m.Layers[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := content.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	list, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	checkBill(t, list, unpack(t, pull(t, repository, i.digest))["refract"].content)
}

func pull(t *testing.T, repository string, digest v1.Hash) v1.Image {
	t.Helper()
	image, err := remote.Image(parse(t, repository+"@"+digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// checkBill compares a bill of materials with what go version -m prints of the program.
func checkBill(t *testing.T, list, binary []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "refract")
	write(t, file, string(binary))
	said, err := exec.CommandContext(t.Context(), "go", "version", "-m", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"std": strings.TrimPrefix(runtime.Version(), "go")}
	for line := range strings.Lines(string(said)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "dep" {
			want[fields[1]] = fields[2]
		}
	}
	if len(want) < 2 {
		t.Fatalf("go version -m names no modules:\n%s", said)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(list), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range *bom.Components {
		if c.Type == cyclonedx.ComponentTypeLibrary {
			got[c.Name] = c.Version
		} else if c.Name != rootsModule || c.Version == "" {
			t.Errorf("the bill lists %s %s, which is no module", c.Name, c.Version)
		}
		if c.Licenses == nil {
			t.Errorf("the bill has no license of %s", c.Name)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the bill lists %v, go version -m says %v", got, want)
	}
	if !json.Valid(list) || bom.SpecVersion != cyclonedx.SpecVersion1_6 || bom.Metadata.Timestamp == "" {
		t.Errorf("the bill is of CycloneDX %s and of %q", bom.SpecVersion, bom.Metadata.Timestamp)
	}
}

func TestRoots(t *testing.T) {
	text, err := roots()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !root.IsCA {
			t.Fatalf("not a root: %v", err)
		}
		known[root.Subject.CommonName] = true
	}
	if len(known) < 100 || !known["ISRG Root X1"] {
		t.Errorf("%d roots, want at least 100 and ISRG Root X1 among them", len(known))
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Error("Go does not read them")
	}
}

func TestDestination(t *testing.T) {
	cases := map[string]struct{ reason, image, want string }{
		"NoTag":      {"the version is the tag", "registry.example.com/refract", "registry.example.com/refract:v1.0.0"},
		"Tag":        {"a tag that is named wins", "registry.example.com/refract:edge", "registry.example.com/refract:edge"},
		"Port":       {"a port is no tag", "registry.example.com:5000/refract", "registry.example.com:5000/refract:v1.0.0"},
		"NoRegistry": {"nothing goes to a registry that was not named", "refract", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := destination(c.image, "v1.0.0")
			if c.want == "" && err != nil {
				return
			}
			if err != nil || got.Name() != c.want {
				t.Errorf("%s: got %s (%v), want %s", c.reason, got, err, c.want)
			}
		})
	}
}
