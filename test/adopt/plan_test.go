package adopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/controllers/cli"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
)

// adopting is the line that lets Refract take over what exists.
const adopting = "  adopt: true\n"

// Exit codes of refract plan.
const (
	noChange = 0
	changes  = 1
	refused  = 3
)

// guarded declares the cluster without spec.adopt: the Fleet says what is in the way.
func guarded(l *life) {
	before := l.quiet()
	l.Push("declare what is there", l.files.all())
	l.NewFleet("production", nil)
	l.Within(hand.Soon, "the Fleet says what is in the way", func() error {
		f := l.Fleet("production")
		if len(f.Status.Failures) == 0 {
			return fmt.Errorf("%+v", f.Status)
		}
		return words(f.Status.Failures[0].Message, "Cluster/"+cluster, "KubeadmControlPlane/"+cluster+"-kcp", "MachineDeployment/"+cluster+"-wmd",
			"not ours", "kubectl-client-side-apply", "spec.adopt: true")
	})
	l.unchanged(before)
	plan, code := l.plan(l.files)
	if code != refused || len(plan.Clusters[0].Foreign) == 0 {
		l.T.Errorf("refract plan ends with %d and says %+v", code, plan)
	}
}

// planned tries two files with spec.adopt before anything is pushed: a first draft would re-create every machine, the
// tuned one none, and its plan says so.
func planned(l *life) {
	before := l.quiet()
	draft := l.files
	draft.memory, draft.extra = "6Gi", adopting
	p, code := l.plan(draft)
	if code != changes || p.Clusters[0].Recreated != 2 {
		l.T.Errorf("refract plan of the draft ends with %d and re-creates %d of 2 machines", code, p.Clusters[0].Recreated)
	}
	l.files.extra = adopting
	p, code = l.plan(l.files)
	if code != changes || p.Clusters[0].Recreated != 0 || p.Clusters[0].Removed != 0 {
		l.T.Errorf("refract plan of the tuned file ends with %d, re-creates %d and removes %d machines", code, p.Clusters[0].Recreated, p.Clusters[0].Removed)
	}
	l.unchanged(before)
	l.sameMachines()
}

// plan is what refract plan says of files that are not pushed, and its exit code.
func (l *life) plan(f files) (view.Document, int) {
	l.T.Helper()
	return planOn(l.Scene, f)
}

func planOn(s *hand.Scene, f files) (view.Document, int) {
	s.T.Helper()
	out, code := runPlan(s, f)
	doc := view.Document{}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		s.T.Fatal(err)
	}
	return doc, code
}

func runPlan(s *hand.Scene, f files) (string, int) {
	s.T.Helper()
	dir := s.T.TempDir()
	for name, text := range f.all() {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(text), 0o600); err != nil {
			s.T.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	code := cli.Main(s.T.Context(), []string{"plan", dir, "--kubeconfig", s.World.Kubeconfig, "--namespace", s.Namespace, "-o", "json"}, strings.NewReader(""), &out, &errs)
	if errs.Len() > 0 {
		s.T.Errorf("refract plan says %s", errs.String())
	}
	return out.String(), code
}

// quiet waits until nobody writes anything, and returns what is there.
func (l *life) quiet() map[string]unstructured.Unstructured { return quiet(l.Scene) }

func quiet(s *hand.Scene) map[string]unstructured.Unstructured {
	s.T.Helper()
	var last map[string]string
	var all map[string]unstructured.Unstructured
	same := 0
	s.Within(patience, "Cluster API is done", func() error {
		all = snapshot(s)
		now := versions(all)
		if !maps.Equal(last, now) {
			last, same = now, 0
		}
		if same++; same < 20 {
			return fmt.Errorf("written a moment ago")
		}
		return checked(all)
	})
	return all
}

// checked says which health check has not seen all its machines healthy: it writes to them when it does.
func checked(all map[string]unstructured.Unstructured) error {
	for name, o := range all {
		healthy, _, _ := unstructured.NestedInt64(o.Object, "status", "currentHealthy")
		expected, _, _ := unstructured.NestedInt64(o.Object, "status", "expectedMachines")
		if o.GetKind() == "MachineHealthCheck" && (expected == 0 || healthy != expected) {
			return fmt.Errorf("%s sees %d of %d machines healthy", name, healthy, expected)
		}
	}
	return nil
}

// unchanged fails if any object is not what it was, to the byte.
func (l *life) unchanged(before map[string]unstructured.Unstructured) {
	l.T.Helper()
	was, now := versions(before), versions(snapshot(l.Scene))
	if maps.Equal(was, now) {
		return
	}
	for name := range now {
		if now[name] != was[name] {
			l.T.Errorf("%s was written: resource version %q was %q", name, now[name], was[name])
		}
	}
	for name := range was {
		if now[name] == "" {
			l.T.Errorf("%s is gone", name)
		}
	}
}

// words fails unless a text holds all of them.
func words(text string, all ...string) error {
	for _, w := range all {
		if !strings.Contains(text, w) {
			return fmt.Errorf("%q lacks %q", text, w)
		}
	}
	return nil
}

// message of a condition, "" when there is none.
func message(o rig.Conditioned, condition string) string {
	if have := meta.FindStatusCondition(o.GetConditions(), condition); have != nil {
		return have.Message
	}
	return ""
}
