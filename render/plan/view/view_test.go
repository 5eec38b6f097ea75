package view_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

var update = flag.Bool("update", false, "write the golden files anew")

// views by the ending of their golden files.
var views = map[string]func(io.Writer, view.Report) error{
	"txt": func(w io.Writer, r view.Report) error { return view.WriteText(w, r, view.TextOptions{}) },
	"md": func(w io.Writer, r view.Report) error {
		return view.WriteMarkdown(w, r, view.MarkdownOptions{Limit: 16000, Marker: "refract:" + r.Fleet, Reviewed: true})
	},
	"json": view.WriteJSON,
}

func TestGolden(t *testing.T) {
	for name, report := range scenarios(t) {
		for ending, write := range views {
			if name == "many" && ending == "json" {
				continue // as long as 300 clusters, and the same as for one
			}
			t.Run(name+"."+ending, func(t *testing.T) {
				var got bytes.Buffer
				if err := write(&got, report); err != nil {
					t.Fatal(err)
				}
				compare(t, filepath.Join("testdata", name+"."+ending), got.Bytes())
			})
		}
	}
}

func TestGoldenOfOptions(t *testing.T) {
	all := scenarios(t)
	unnamed := mistakes()
	unnamed.Base, unnamed.Head = "", ""
	cases := map[string]struct {
		report view.Report
		o      view.TextOptions
	}{
		"files.txt": {unnamed, view.TextOptions{}},
		"color.txt": {all["refused"], view.TextOptions{Color: true}},
		"width.txt": {all["capacity"], view.TextOptions{Width: 80}},
		"full.txt":  {all["secret"], view.TextOptions{Full: true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := view.WriteText(&got, c.report, c.o); err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join("testdata", name), got.Bytes())
		})
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s; run the test with -update if this is meant (-want +got):\n%s", file, diff)
	}
}

// TestJSONIsComplete: a machine reads from the document what the plan says, also what the text leaves out.
func TestJSONIsComplete(t *testing.T) {
	p := rolled(t)
	var out bytes.Buffer
	if err := view.WriteJSON(&out, gated([]plan.Plan{p})); err != nil {
		t.Fatal(err)
	}
	var doc view.Document
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Changes, doc.Clusters[0].Changes); diff != "" {
		t.Errorf("changes (-plan +document):\n%s", diff)
	}
	if c := doc.Clusters[0]; doc.APIVersion != view.Version || c.Digest != p.Digest() || c.Recreated != 3 || c.Removed != 1 {
		t.Errorf("%+v", c)
	}
}

func TestWriterFails(t *testing.T) {
	full := errors.New("no space")
	for name, write := range views {
		t.Run(name, func(t *testing.T) {
			if err := write(failing{full}, view.Report{}); !errors.Is(err, full) {
				t.Errorf("error %v", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
