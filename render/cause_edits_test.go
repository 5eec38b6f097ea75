package render

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/leaf"
)

// fleetFile is the file of a golden cluster.
const fleetFile = "fleet.yaml"

// spread is a golden cluster whose file has one value a line, so that the line tells the field.
type spread struct {
	files fstest.MapFS
	file  leaf.File
	// only edits below this step are of interest; empty: all.
	only string
}

func spreadOut(t *testing.T, name string) spread {
	t.Helper()
	if name == selected {
		return selecting(t)
	}
	dir := filepath.Join("testdata", "clusters", name)
	s := spread{files: fstest.MapFS{}}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		s.files[name] = &fstest.MapFile{Data: data, Mode: 0o600}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.file, err = leaf.Read(s.files[fleetFile].Data); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s spread) decode(text string) (fleet.Cluster, error) {
	files := maps.Clone(s.files)
	files[fleetFile] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
	f, err := fleet.Decode(files, ".", fleet.Options{})
	if err != nil {
		return fleet.Cluster{}, err
	}
	return f.Clusters[0], nil
}

// comparison plans the step from one revision to the next, from the files alone.
func comparison(before, after Unit, now Inputs) plan.Plan {
	have := map[string]*unstructured.Unstructured{}
	for _, o := range before.Named(nil, nil) {
		have[key(o.GetKind(), o.GetName())] = o
	}
	bases := map[string]*unstructured.Unstructured{}
	for _, t := range before.Templates() {
		bases[t.Key()] = have[key(t.Object.GetKind(), t.Hashed)]
	}
	var pairs []plan.Pair
	wanted := map[string]bool{}
	for _, w := range after.Named(nil, nil) {
		id := key(w.GetKind(), w.GetName())
		p := plan.Pair{Want: w, Live: have[id]}
		wanted[id] = true
		if p.Live == nil && isTemplate(w.GetKind()) {
			p.Previous = bases[key(w.GetKind(), BaseName(w.GetName()))]
		}
		pairs = append(pairs, p)
	}
	for _, h := range before.Named(nil, nil) {
		if !wanted[key(h.GetKind(), h.GetName())] {
			pairs = append(pairs, plan.Pair{Live: h})
		}
	}
	places := after.Places(now)
	return plan.Compute(pairs, plan.Options{Rendered: true, Place: func(p plan.Pair, field string) string {
		if p.Want == nil {
			return places.Gone(p.Live)
		}
		return places.Of(p.Want, field)
	}})
}

// edit is one change of one value.
type edit struct {
	leaf.Edit
	docs []build.Document
}

func split(t *testing.T, text string) []build.Document {
	t.Helper()
	docs, err := build.Split(fleetFile, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func lineAt(line int) string { return fmt.Sprintf("%s:%d", fleetFile, line) }

// above are the places of the changed field and of all that hold it.
func (e edit) above() []string {
	var out []string
	for n := range e.Path {
		out = append(out, lineAt(e.docs[e.Doc].LineOf(leaf.Field(e.Path[:n+1]))))
	}
	return out
}

// owners are the places of what objects are rendered for, which are named where fields of several files make a value.
func (e edit) owners() []string {
	var out []string
	for _, d := range e.docs {
		for n := range 6 {
			out = append(out, lineAt(d.LineOf(layerPath(n).String())))
		}
	}
	fields := []string{"", "spec.controlPlane", "spec.nodePools", "spec.failureDomains", "spec.profiles"}
	for n := range 4 {
		fields = append(fields, fmt.Sprintf("spec.nodePools[%d]", n), fmt.Sprintf("spec.failureDomains[%d]", n))
	}
	for _, f := range fields {
		out = append(out, lineAt(e.docs[len(e.docs)-1].LineOf(f)))
	}
	return out
}

// place is the line that differs, or for a value that is gone the line of what held it.
func (e edit) place(whole string) string {
	if !e.Gone {
		was, now := strings.Split(whole, "\n"), strings.Split(e.Text, "\n")
		for i := range now {
			if was[i] != now[i] {
				return lineAt(i + 1)
			}
		}
	}
	return lineAt(e.docs[e.Doc].LineOf(leaf.Field(e.Path[:len(e.Path)-1])))
}

// declaredLeaves are all fields of the API that files hold.
func declaredLeaves() map[string]bool { return leaf.Declared() }
