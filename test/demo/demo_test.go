package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// TestSampleFleet decodes and renders the files that the demo pushes.
func TestSampleFleet(t *testing.T) {
	files, err := sampleFiles("127.1.2.7", []string{"127.1.2.10", "127.1.2.11", "127.1.2.12"})
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{}
	for path, text := range files {
		tree[path] = &fstest.MapFile{Data: []byte(text)}
		for _, left := range append(sampleEndpoints(), sampleAccount) {
			if strings.Contains(text, left) {
				t.Errorf("%s still says %s", path, left)
			}
		}
	}
	declared, err := fleet.Decode(tree, "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	endpoints := map[string]string{}
	for _, c := range declared.Clusters {
		endpoints[c.Object.Name] = c.Object.Spec.ControlPlane.Endpoint.Host
		if _, err := render.Cluster(render.FromFleet(c)); err != nil {
			t.Errorf("cluster %s: %v", c.Object.Name, err)
		}
	}
	want := map[string]string{"edge-01": "127.1.2.10", "edge-02": "127.1.2.11", "edge-03": "127.1.2.12"}
	if diff := cmp.Diff(want, endpoints); diff != "" {
		t.Errorf("endpoints of the clusters (-want +got):\n%s", diff)
	}
}

func TestSampleNeedsEveryEndpoint(t *testing.T) {
	for _, endpoints := range [][]string{nil, {"127.1.2.10"}, {"127.1.2.10", "", "127.1.2.12"}} {
		if _, err := sampleFiles("127.1.2.7", endpoints); err == nil {
			t.Errorf("endpoints %q were taken", endpoints)
		}
	}
}

func TestWrap(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   []string
	}{
		"Short":        {"what fits stays on one line", "one two", []string{"one two"}},
		"Long":         {"lines break between words", "one two three", []string{"one two", "three"}},
		"AsLongAsCan":  {"the limit itself is allowed", "eight ch", []string{"eight ch"}},
		"SourceBreaks": {"line breaks of the source do not count", "one\n\t\ttwo", []string{"one two"}},
		"LongWord":     {"a word that is too long stays whole", "a verylongword b", []string{"a", "verylongword", "b"}},
		"NotAscii":     {"characters count, not bytes", "äöü äöü1", []string{"äöü äöü1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, wrap(c.text, 8)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestProgressShowsWholeLines(t *testing.T) {
	var out bytes.Buffer
	w := &indented{show: &show{out: &out}}
	for _, part := range []string{"etcd is", " up\nkube-", "apiserver"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("wrote %d bytes of %q: %v", n, part, err)
		}
	}
	if got, want := out.String(), "   etcd is up\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRowsOf(t *testing.T) {
	vms := []simulator.VM{
		{Name: "edge-02-kcp-a", PowerState: simulator.PowerOn, IP: "10.0.0.3", MemoryBytes: 4 << 30},
		{Name: "edge-01-workers-a", PowerState: simulator.PowerOff, MemoryBytes: 6 << 30},
		{Name: "edge-01-kcp-a", PowerState: simulator.PowerOn, IP: "10.0.0.2", MemoryBytes: 4 << 30},
	}
	want := []string{"edge-01-kcp-a                    on   10.0.0.2       4 GiB", "edge-01-workers-a                off                 6 GiB"}
	var got []string
	for _, r := range rowsOf(vms, "edge-01-") {
		got = append(got, r.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestBoardElsewhere(t *testing.T) {
	var out bytes.Buffer
	b := board{show: &show{out: &out}}
	booting := row{name: "w-1", power: "on", memory: "4 GiB"}
	up := booting
	up.address = "10.0.0.1"
	b.update(scene{rows: []row{booting}, clusters: []string{"w Pending"}}, 0)
	b.update(scene{rows: []row{up}, clusters: []string{"w Pending"}}, time.Second)
	b.update(scene{rows: []row{up}, clusters: []string{"w Pending"}}, 2*time.Second)
	b.update(scene{clusters: []string{"w Running"}}, 61*time.Second)
	want := "   0:00    w Pending\n" +
		"   0:01  + w-1                              on   10.0.0.1       4 GiB\n" +
		"   1:01  - w-1\n" +
		"   1:01    w Running\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("a line for each change, and nothing else (-want +got):\n%s", diff)
	}
}

func TestBoardOnATerminal(t *testing.T) {
	var out bytes.Buffer
	b := board{show: &show{out: &out, terminal: true}}
	b.update(scene{rows: []row{{name: "w-1"}, {name: "w-2"}}}, 0)
	out.Reset()
	b.update(scene{rows: []row{{name: "w-2"}}}, time.Second)
	// A heading, two machines and a line of phases were drawn.
	if got := out.String(); !strings.HasPrefix(got, "\x1b[4A\x1b[J") || strings.Contains(got, "w-1") {
		t.Errorf("the table was not drawn over: %q", got)
	}
}

func TestRoll(t *testing.T) {
	kcp := row{"edge-01-kcp-a", "on", "10.0.0.1", "4 GiB"}
	old := row{workers + "a", "on", "10.0.0.2", "4 GiB"}
	booting := row{workers + "b", "on", "", "6 GiB"}
	fresh := row{workers + "b", "on", "10.0.0.3", "6 GiB"}
	cases := map[string]struct {
		reason        string
		seen          [][]row
		finished, gap bool
	}{
		"NewBeforeOld":        {"as it should be", [][]row{{kcp, old}, {kcp, old, booting}, {kcp, old, fresh}, {kcp, fresh}}, true, false},
		"OldBeforeNew":        {"a moment without a worker is noticed", [][]row{{kcp, old}, {kcp, booting}, {kcp, fresh}}, true, true},
		"Both":                {"the old one has to go", [][]row{{kcp, old, fresh}}, false, false},
		"Unchanged":           {"nothing has happened", [][]row{{kcp, old}}, false, false},
		"SameMemory":          {"the new one has what was asked for", [][]row{{kcp, {workers + "b", "on", "10.0.0.3", "4 GiB"}}}, false, false},
		"ControlPlaneTouched": {"the plan did not say so", [][]row{{{"edge-01-kcp-b", "on", "10.0.0.4", "4 GiB"}, fresh}}, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := roll{before: []row{kcp, old}}
			var err error
			for _, now := range c.seen {
				r.look(now)
				err = r.finished(now)
			}
			if (err == nil) != c.finished || r.gap != c.gap {
				t.Errorf("%s: finished says %v, gap is %v", c.reason, err, r.gap)
			}
		})
	}
}

func TestRemoveBut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"top.log", "world/etcd.log", "world/etcd/wal/0.wal", "git/clone/.git/HEAD", "kubeconfig"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A link to a program goes, the program stays.
	program := filepath.Join(t.TempDir(), "kubectl")
	if err := os.WriteFile(program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "kubectl")); err != nil {
		t.Fatal(err)
	}
	if err := removeBut(dir, ".log"); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "top.log"), filepath.Join(dir, "world")}, left); diff != "" {
		t.Errorf("only logs stay (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(program); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "world", "etcd.log")); err != nil {
		t.Error(err)
	}
}
