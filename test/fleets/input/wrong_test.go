package input

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// TestOneWrongClusterKeepsItsStateWhileOthersGoOn makes one cluster wrong in every way that is its own, and changes
// another in the same commit.
func TestOneWrongClusterKeepsItsStateWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*rig.Cluster)
		says   string
		file   string
	}{
		"UnknownAccount":      {change: func(c *rig.Cluster) { c.Account = "pc-west" }, says: `pc-west`},
		"UnmatchedVersion":    {change: func(c *rig.Cluster) { c.Profile = "2.x" }, says: "2.x"},
		"UnknownField":        {change: func(c *rig.Cluster) { c.Extra = "  nodePool: []\n" }, says: "nodePools"},
		"WrongValue":          {change: func(c *rig.Cluster) { c.ControlPlanes = 2 }, says: "replicas"},
		"PatchWithoutTarget":  {change: patch("  target: {kind: MachinePool}", `[{"op": "add", "path": "/metadata/labels/a", "value": "b"}]`), says: "matches no object"},
		"PatchWithWrongPath":  {change: patch("  target: {kind: KubeadmControlPlane}", `[{"op": "remove", "path": "/spec/nothing"}]`), says: "nothing"},
		"PatchFileMissing":    {change: func(c *rig.Cluster) { c.Extra = "  patches:\n    - path: missing.yaml\n" }, says: "missing.yaml"},
		"PatchFileEscaping":   {change: func(c *rig.Cluster) { c.Extra = "  patches:\n    - path: ../../secret.yaml\n" }, says: "leaves the snapshot"},
		"RefusedByWebhook":    {change: patch("  target: {kind: MachineDeployment}", `[{"op": "replace", "path": "/spec/rollout/strategy/rollingUpdate/maxSurge", "value": -1}]`), says: "maxSurge"},
		"KindNotRendered":     {change: patch("  target: {kind: MachineHealthCheck}", `[{"op": "replace", "path": "/kind", "value": "Machine"}]`), says: "Machine"},
		"NameNotRendered":     {change: patch("  target: {kind: ConfigMap}", `[{"op": "replace", "path": "/metadata/name", "value": "kube-root-ca.crt"}]`), says: "kube-root-ca.crt"},
		"NamespaceOfOthers":   {change: patch("  target: {kind: KubeadmControlPlane}", `[{"op": "add", "path": "/metadata/namespace", "value": "kube-system"}]`), says: "namespace"},
		"StampWrittenByHand":  {change: func(c *rig.Cluster) { c.Name = "edge-01, annotations: {refract.dev/approved-plan: x}" }, says: "refract.dev/approved-plan", file: "fleet/edge-01.yaml"},
		"NamespaceOfTheFile":  {change: func(c *rig.Cluster) { c.Name = "edge-01, namespace: default" }, says: "namespace", file: "fleet/edge-01.yaml"},
		"EndpointUsedTwice":   {change: func(c *rig.Cluster) { c.Endpoint = "TWICE" }, says: "endpoint"},
		"ImmutableEndpoint":   {change: func(c *rig.Cluster) { c.Endpoint = "10.99.0.1" }, says: "endpoint"},
		"StrategicMergeWipes": {change: patch("  target: {kind: KubeadmControlPlane}", "spec: {kubeadmConfigSpec: {files: [{path: /etc/a, content: b}]}}"), says: "JSON6902"},
	}
	stage := fleets.New(t, &here)
	wrong, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	stage.Launch(nil, wrong, other)
	kept := stage.Inventory(wrong.Name)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := stage.In(t)
			before := s.Cluster("edge-01")
			bad := wrong
			c.change(&bad)
			if bad.Endpoint == "TWICE" {
				bad.Endpoint = other.Endpoint
			}
			other.Workers++
			s.Push("one wrong, one changed", map[string]string{fleets.File(wrong): bad.File(), fleets.File(other): other.File()})
			if c.says == "endpoint" && bad.Endpoint == other.Endpoint {
				s.Refused(wrong.Name, "", c.says)
			} else {
				s.Accepted(other)
				have := s.Refused(wrong.Name, "", c.says)
				reason := reasonOf(have)
				if reason != v1alpha1.InvalidReason && reason != v1alpha1.ForbiddenReason {
					t.Errorf("reason %s", reason)
				}
				if reason == v1alpha1.InvalidReason {
					placed(t, have.Status.Failures, fleets.File(wrong))
				}
			}
			s.Same(kept, s.Inventory(wrong.Name))
			after := s.Cluster("edge-01")
			if after.Generation != before.Generation || after.Annotations[v1alpha1.RevisionAnnotation] != before.Annotations[v1alpha1.RevisionAnnotation] {
				t.Errorf("the mirror of the wrong cluster moved: %+v", after)
			}
			s.Kstatus(wrong, other)
			s.Push("mended", map[string]string{fleets.File(wrong): wrong.File()})
			s.Ready(fleets.Production)
			s.Accepted(wrong, other)
		})
	}
}

func reasonOf(c *v1alpha1.NutanixClusterSpec) string {
	for _, have := range c.Status.Conditions {
		if have.Type == v1alpha1.SourceAcceptedCondition {
			return have.Reason
		}
	}
	return ""
}

// placed fails unless a failure names a file and a line.
func placed(t *testing.T, failures []v1alpha1.Failure, file string) {
	t.Helper()
	for _, f := range failures {
		if f.File == file && f.Line > 0 && f.Message != "" {
			return
		}
	}
	t.Errorf("no failure names %s and a line: %+v", file, failures)
}

func patch(target, text string) func(*rig.Cluster) {
	return func(c *rig.Cluster) {
		c.Extra = fmt.Sprintf("  patches:\n    - patch: |\n        %s\n    %s\n", text, target)
	}
}

// traps are kustomizations that reach for something outside of the snapshot.
func traps(remote string) map[string]struct{ kustomization, says string } {
	return map[string]struct{ kustomization, says string }{
		"RemoteBase":    {"resources: [" + remote + "/base.yaml]\n", "remote"},
		"GitURL":        {"resources: [\"" + remote + "/org/repo.git//base?ref=main\"]\n", "remote"},
		"GitOverSSH":    {"resources: [\"git@github.com:org/repo.git\"]\n", "remote"},
		"ExecPlugin":    {"generators: [plugin.yaml]\n", "plugins are not run"},
		"OpenAPI":       {"openapi: {path: schema.json}\nresources: [ok.yaml]\n", "openapi"},
		"AbsolutePath":  {"resources: [/etc/passwd]\n", "absolute"},
		"EscapingPath":  {"resources: [../../../../../etc/hostname]\n", "leaves the snapshot"},
		"EscapingLink":  {"resources: [link.yaml]\n", "link.yaml"},
		"HelmInflation": {"helmCharts: [{name: x, repo: \"" + remote + "\"}]\n", "Helm is not run"},
	}
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ok, namespace: default}\n"

// trap puts a trap into a directory of the clone.
func trap(t *testing.T, s *fleets.Stage, dir, kustomization string) {
	t.Helper()
	dir = filepath.Join(s.Git.Clone(), filepath.FromSlash(dir))
	for name, text := range map[string]string{
		"kustomization.yaml": kustomization, "ok.yaml": configMap, "schema.json": "{}",
		"plugin.yaml": "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations: {config.kubernetes.io/function: 'exec: {path: ./run}'}\n",
	} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(kustomization, "link.yaml") {
		return
	}
	link := filepath.Join(dir, "link.yaml")
	if err := os.Symlink("../../../../../../etc/hostname", link); err != nil {
		t.Fatal(err)
	}
}

func listener(t *testing.T) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		http.Error(w, "no", http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

// TestALayerReachesNothingOutsideTheSnapshot has a new profile version hold each trap in a layer: the clusters that go
// to it are held with the place, and nobody is called.
func TestALayerReachesNothingOutsideTheSnapshot(t *testing.T) {
	t.Parallel()
	remote, calls := listener(t)
	stage := fleets.New(t, &here)
	edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	stage.Launch(nil, edge, other)
	kept := stage.Inventory(edge.Name)
	n := 0
	for name, c := range traps(remote) {
		n++
		version := fmt.Sprintf("1.0.%d", n)
		t.Run(name, func(t *testing.T) {
			s := stage.In(t)
			layer := "layers/" + strings.ToLower(name)
			trap(t, s, "fleet/"+layer, c.kustomization)
			moved := edge
			moved.Profile = version
			profile := rig.Profile(version, "v1.33.4") + "    - name: extra\n      type: AddOn\n      kustomize: {path: " + layer + "}\n"
			other.Workers++
			s.Push("a trap", map[string]string{"fleet/profile-next.yaml": profile, fleets.File(moved): moved.File(), fleets.File(other): other.File()})
			if name == "EscapingLink" { // refused with the whole snapshot, before anything is read
				s.Fails(fleets.Production, v1alpha1.SourceRefusedReason, "fleet/"+layer+"/link.yaml")
				other.Workers--
			} else {
				s.Refused(edge.Name, v1alpha1.InvalidReason, c.says)
				s.Fails(fleets.Production, v1alpha1.DecodeFailedReason, "fleet/"+layer+"/")
				s.Accepted(other)
			}
			s.Same(kept, s.Inventory(edge.Name))
			s.Push("without it", map[string]string{"fleet/profile-next.yaml": "", fleets.File(other): other.File(), fleets.File(edge): edge.File(), "fleet/" + layer: ""})
			s.Ready(fleets.Production)
		})
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
}

// TestAFleetPathReachesNothingOutsideTheSnapshot makes the Fleet's path itself a kustomization with each trap: the whole
// Fleet is held with the place.
func TestAFleetPathReachesNothingOutsideTheSnapshot(t *testing.T) {
	t.Parallel()
	remote, calls := listener(t)
	stage := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	stage.Launch(loose, edge)
	kept := stage.Inventory(edge.Name)
	for name, c := range traps(remote) {
		t.Run(name, func(t *testing.T) {
			s := stage.In(t)
			trap(t, s, "fleet", c.kustomization)
			commit := s.Push("a trap", nil)
			f := s.Fails(fleets.Production, "", "fleet/", c.says)
			if strings.HasSuffix(f.Status.LastAppliedRevision, commit) {
				t.Error("the trap counts as applied")
			}
			s.Same(kept, s.Inventory(edge.Name))
			if name == "EscapingLink" { // the snapshot is refused, and nothing is read
				s.Sourced(edge.Name, metav1.ConditionTrue, v1alpha1.AcceptedReason)
			} else {
				s.Refused(edge.Name, v1alpha1.SourceUnknownReason, "nothing is pruned")
			}
			files := map[string]string{}
			for _, f := range []string{"kustomization.yaml", "ok.yaml", "plugin.yaml", "schema.json", "link.yaml"} {
				files["fleet/"+f] = ""
			}
			s.Push("without it", files)
			s.Ready(fleets.Production)
		})
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
}
