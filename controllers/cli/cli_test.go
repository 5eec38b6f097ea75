package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/refract-dev/refract/controllers"
)

var update = flag.Bool("update", false, "write golden files and docs/reference/cli.md")

// result of one command.
type result struct {
	code     int
	out, err string
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Main(t.Context(), args, strings.NewReader(""), &out, &errs)
	return result{code: code, out: out.String(), err: errs.String()}
}

// repository copies a directory of testdata into what looks like a Git repository, and works there.
func repository(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to string, path ...string) {
	t.Helper()
	if err := os.Symlink(to, filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

// replace changes a file of a repository.
func replace(t *testing.T, old, now string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), old, now)
	if changed == string(text) {
		t.Fatalf("%s does not hold %q", name, old)
	}
	write(t, changed, name)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		write(t, got, file)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// expect compares a result with an exit code and words that must stand on one of the outputs.
func expect(t *testing.T, got result, code int, words ...string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, want %d\nout: %s\nerr: %s", got.code, code, got.out, got.err)
	}
	for _, w := range words {
		if !strings.Contains(got.out+got.err, w) {
			t.Errorf("want %q, got\nout: %s\nerr: %s", w, got.out, got.err)
		}
	}
}

func TestUsage(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		code   int
		want   []string
	}{
		"Help":           {"without a command there is help", nil, 0, []string{"validate", "manager"}},
		"UnknownCommand": {"a command that is not there is an error", []string{"frob"}, 2, []string{`unknown command "frob"`}},
		"UnknownFlag":    {"it says where to look", []string{"plan", "--frob", "."}, 2, []string{"--frob", "see `refract plan --help`"}},
		"NoPath":         {"a path is demanded", []string{"validate"}, 2, []string{"want one PATH"}},
		"TwoPaths":       {"and only one", []string{"render", "a", "b"}, 2, []string{"got 2 arguments"}},
		"Output":         {"a form of output that is not there", []string{"render", ".", "-o", "xml"}, 2, []string{`--output is "xml"`, "yaml or json"}},
		"ApproveWhat":    {"only two things are approved", []string{"approve", "profile/a"}, 2, []string{"neither cluster nor fleet"}},
		"ApproveNothing": {"a name is demanded", []string{"approve", "cluster/"}, 2, []string{"want cluster/NAME"}},
		"ApproveTwice":   {"one digest is meant", []string{"approve", "cluster/a", "x", "--plan", "y"}, 2, []string{"two digests"}},
		"Version":        {"what it works with", []string{"version"}, 0, []string{"refract ", "commit", "1.13 to 1.14", "1.9 to 1.10"}},
		"Arguments":      {"version takes none", []string{"version", "now"}, 2, []string{"want no arguments"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			got := run(t, c.args...)
			expect(t, got, c.code, c.want...)
			if c.code != 0 && got.out != "" {
				t.Errorf("an error belongs to the error output, got %q", got.out)
			}
		})
	}
}

func TestManager(t *testing.T) {
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "config")
	write(t, `{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}], contexts: [{name: a, context: {cluster: a}}]}`, kubeconfig)
	var seen controllers.Options
	var host string
	p := program{run: func(_ context.Context, c *rest.Config, o controllers.Options) error {
		seen, host = o, c.Host
		o.Log.Info("hello", "from", "manager")
		return nil
	}}
	manager := func(args ...string) result {
		var out, errs bytes.Buffer
		args = append([]string{"manager", "--kubeconfig", kubeconfig}, args...)
		code := p.main(t.Context(), args, strings.NewReader(""), &out, &errs)
		return result{code, out.String(), errs.String()}
	}

	got := manager("--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect", "--concurrent=7", "--allow-file-urls", "--stuck-after=1m")
	expect(t, got, 0)
	if seen.MetricsAddress != "0" || seen.HealthAddress != "" || !seen.LeaderElection || seen.Concurrent != 7 || !seen.AllowFileURLs || seen.AllowInsecureGit || seen.StuckAfter.Minutes() != 1 {
		t.Errorf("flags did not arrive: %+v", seen)
	}
	if host != "https://127.0.0.1:1" {
		t.Errorf("manager runs against %q, want what the kubeconfig says", host)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(got.err), &line); err != nil || line["msg"] != "hello" {
		t.Errorf("want one line of JSON on the error output, got %q (%v)", got.err, err)
	}
	expect(t, manager("--log-level=error"), 0)
	expect(t, manager("--log-level=loud"), 2, `--log-level is "loud"`)
	expect(t, manager("--concurrent=0"), 2, "--concurrent is 0")
	expect(t, manager("--kubeconfig", filepath.Join(dir, "missing")), 2, "no management cluster to ask")
}
