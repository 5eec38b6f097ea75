package controlplane

import (
	"errors"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const webhookServer = `package webhook

import (
	"os"
)

// setDefaults does defaulting for the Server.
func (o *Options) setDefaults() {
	if o.Port <= 0 {
		o.Port = DefaultPort
	}
}
`

func TestPatchWebhookHost(t *testing.T) {
	cases := map[string]struct {
		reason string
		source string
		fails  bool
	}{
		"Released":     {"the released source is patched", webhookServer, false},
		"AnchorGone":   {"a renamed function is noticed", strings.ReplaceAll(webhookServer, "setDefaults()", "defaults()"), true},
		"AnchorTwice":  {"an ambiguous place is noticed", webhookServer + webhookServer, true},
		"ImportGone":   {"the patch needs package os", strings.ReplaceAll(webhookServer, "\t\"os\"\n", ""), true},
		"EmptySource":  {"nothing to patch", "", true},
		"CarriageEnds": {"other line ends are noticed", strings.ReplaceAll(webhookServer, "\n", "\r\n"), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := patchWebhookHost([]byte(c.source))
			if c.fails {
				if !errors.Is(err, errAnchor) {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			formatted, err := format.Source(got)
			if err != nil || string(formatted) != string(got) {
				t.Errorf("the result is not formatted Go: %v\n%s", err, got)
			}
			if strings.Replace(string(got), webhookPatch, "", 1) != c.source {
				t.Errorf("more than the patch changed:\n%s", got)
			}
		})
	}
}

// The file which will be patched must take the patch in the very releases that the nested modules pin.
func TestPatchFitsPinnedReleases(t *testing.T) {
	for _, nested := range []string{"capi", "capx"} {
		t.Run(nested, func(t *testing.T) {
			b, err := New(t.Context(), t.Output())
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			modfile, err := b.patchedModfile(t.Context(), nested, dir)
			if err != nil {
				t.Fatal(err)
			}
			out, err := b.goCommand(t.Context(), nested, "list", "-mod=readonly", "-modfile="+modfile, "-f", "{{.Dir}}", controllerRuntime+"/pkg/webhook")
			if err != nil {
				t.Fatal(err)
			}
			server, err := os.ReadFile(filepath.Join(strings.TrimSpace(out), "server.go"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(strings.TrimSpace(out), dir) || !strings.Contains(string(server), WebhookHostVariable) {
				t.Errorf("the build would use %s", out)
			}
		})
	}
}

func TestNewEnough(t *testing.T) {
	for version, want := range map[string]bool{
		"go1.26": true, "go1.26.8": true, "go1.27rc1": true, "go1.25.9": false, "go1.9": false,
		"devel go1.27-abc": true, "": false, "go1.x": false,
	} {
		if newEnough(version) != want {
			t.Errorf("%q: want %t", version, want)
		}
	}
}

func TestVersionFlags(t *testing.T) {
	for _, want := range []string{"gitVersion=v1.34.4", "gitMajor=1", "gitMinor=34", "gitTreeState=clean"} {
		if got := versionFlags("v1.34.4"); !strings.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
}

// TestPatchPace holds the patch against a source as it is released; a build fails when the place is gone.
func TestPatchPace(t *testing.T) {
	const released = "func f() {\n" + paceAnchor + "\tuse(rateLimitInterval)\n}\n"
	got, err := patchPace([]byte(released))
	if err != nil || strings.Replace(string(got), pacePatch, paceAnchor, 1) != released {
		t.Errorf("%v\n%s", err, got)
	}
	for name, source := range map[string]string{"Gone": "func f() {}", "Twice": released + released} {
		if _, err := patchPace([]byte(source)); !errors.Is(err, errAnchor) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
