package plan

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

func rollout(cluster, owner, to string, machines int) Change {
	return Change{
		Object: Ref{APIVersion: infraAPI, Kind: "NutanixMachineTemplate", Namespace: "clusters", Name: cluster + "-" + to},
		Action: Create, Field: "spec.template.spec.memorySize", From: "4Gi", To: to,
		Severity: v1alpha1.SeverityRollout, Machines: machines, Owner: "MachineDeployment/" + cluster + "-" + owner,
	}
}

func removal(cluster, owner string, machines int) Change {
	ref := Ref{APIVersion: coreAPI, Kind: "MachineDeployment", Namespace: "clusters", Name: cluster + "-" + owner}
	return Change{
		Object: ref, Action: Update, Field: "spec.replicas", To: "1", Severity: v1alpha1.SeverityRemove, Machines: machines, Owner: ref.String(),
	}
}

func planOf(cluster string, changes ...Change) Plan { return Plan{Cluster: cluster, Changes: changes} }

func TestDigest(t *testing.T) {
	base := planOf("edge-01", rollout("edge-01", "a", "6Gi", 3), removal("edge-01", "b", 1))
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(base.Digest()) {
		t.Fatalf("digest %q", base.Digest())
	}
	if d := (Plan{Cluster: "edge-01"}).Digest(); d != "" {
		t.Errorf("an empty plan has digest %q; there is nothing to approve", d)
	}
	cases := map[string]struct {
		reason string
		edit   func(*Plan)
		same   bool
	}{
		"Order":    {"order means nothing", func(p *Plan) { p.Changes[0], p.Changes[1] = p.Changes[1], p.Changes[0] }, true},
		"From":     {"live values move", func(p *Plan) { p.Changes[0].From = "5Gi" }, true},
		"Reason":   {"words are for people", func(p *Plan) { p.Changes[0].Reason = "because" }, true},
		"Place":    {"files are moved", func(p *Plan) { p.Changes[0].Place = "b.yaml:1" }, true},
		"None":     {"an old template that goes changes nothing", func(p *Plan) { p.Changes = append(p.Changes, Change{Severity: v1alpha1.SeverityNone}) }, true},
		"To":       {"another value is another plan", func(p *Plan) { p.Changes[0].To = "7Gi" }, false},
		"Machines": {"more machines are another plan", func(p *Plan) { p.Changes[0].Machines++ }, false},
		"Severity": {"another effect is another plan", func(p *Plan) { p.Changes[0].Severity = v1alpha1.SeverityRemove }, false},
		"Object":   {"another object is another plan", func(p *Plan) { p.Changes[0].Object.Name = "x" }, false},
		"Cluster":  {"a digest is of one cluster", func(p *Plan) { p.Cluster = "edge-02" }, false},
		"Less":     {"fewer changes are another plan", func(p *Plan) { p.Changes = p.Changes[:1] }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := planOf(base.Cluster, append([]Change{}, base.Changes...)...)
			tc.edit(&p)
			if same := p.Digest() == base.Digest(); same != tc.same {
				t.Errorf("%s: same digest = %v", tc.reason, same)
			}
		})
	}
}

func TestCoveredBy(t *testing.T) {
	accepted := planOf("edge-01", rollout("edge-01", "a", "6Gi", 3), removal("edge-01", "b", 2))
	cases := map[string]struct {
		reason string
		plan   Plan
		want   bool
	}{
		"Itself":        {"", accepted, true},
		"Nothing":       {"", Plan{Cluster: "edge-01"}, true},
		"Part":          {"half of it is done already", planOf("edge-01", rollout("edge-01", "a", "6Gi", 2)), true},
		"MoreMachines":  {"", planOf("edge-01", rollout("edge-01", "a", "6Gi", 4)), false},
		"OtherValue":    {"", planOf("edge-01", rollout("edge-01", "a", "8Gi", 1)), false},
		"OtherOwner":    {"the machines are of another pool", planOf("edge-01", rollout("edge-01", "b", "6Gi", 3)), false},
		"OtherCluster":  {"", planOf("edge-02", accepted.Changes...), false},
		"Extra":         {"", planOf("edge-01", append(accepted.Changes, removal("edge-01", "c", 1))...), false},
		"WorseSeverity": {"", planOf("edge-01", func() Change { c := rollout("edge-01", "a", "6Gi", 1); c.Severity = v1alpha1.SeverityRemove; return c }()), false},
		"LowerSeverity": {"", planOf("edge-01", func() Change { c := removal("edge-01", "b", 0); c.Severity = v1alpha1.SeverityInPlace; return c }()), true},
		"OldTemplateGone": {"it changes nothing and comes only when the rest is done", planOf("edge-01", Change{
			Action: Delete, Object: Ref{Kind: "NutanixMachineTemplate", Name: "old"}, To: "deleted", Severity: v1alpha1.SeverityNone,
		}), true},
		"Foreign": {"", Plan{Cluster: "edge-01", Foreign: []Foreign{{Object: Ref{Kind: "Cluster", Name: "edge-01"}}}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.plan.CoveredBy(accepted); got != tc.want {
				t.Errorf("%s: covered = %v, beyond %+v", tc.reason, got, tc.plan.Beyond(accepted))
			}
		})
	}
}

// arbitrary builds a plan from fuzz bytes: two a change, over few objects, owners and values, so that plans overlap.
func arbitrary(data []byte) Plan {
	p := Plan{Cluster: "edge-01"}
	severities := []v1alpha1.Severity{
		v1alpha1.SeverityNone, v1alpha1.SeverityMetadata, v1alpha1.SeverityInPlace, v1alpha1.SeverityRollout,
		v1alpha1.SeverityRemove, v1alpha1.SeverityDestroy, v1alpha1.SeverityForbidden,
	}
	for ; len(data) >= 2; data = data[2:] {
		n := binary.BigEndian.Uint16(data)
		p.Changes = append(p.Changes, Change{
			Object: Ref{Kind: "K", Name: fmt.Sprint(n % 3)}, Owner: fmt.Sprint(n >> 2 % 3), Field: fmt.Sprint(n >> 4 % 3),
			To: fmt.Sprint(n >> 6 % 3), Severity: severities[int(n>>8)%len(severities)], Machines: int(n>>11) % 8,
		})
	}
	return p
}

func FuzzDigest(f *testing.F) {
	f.Add([]byte{}, int64(1))
	f.Add([]byte{1, 2, 3, 4, 5, 6}, int64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed int64) {
		p := arbitrary(data)
		q := planOf(p.Cluster, append([]Change{}, p.Changes...)...)
		rand.New(rand.NewSource(seed)).Shuffle(len(q.Changes), func(i, j int) { q.Changes[i], q.Changes[j] = q.Changes[j], q.Changes[i] })
		if p.Digest() != q.Digest() {
			t.Errorf("order changes the digest of %+v", p.Changes)
		}
		stored, err := Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Unmarshal(stored)
		if err != nil || back.Digest() != p.Digest() {
			t.Errorf("stored and read (%v), the digest differs", err)
		}
	})
}

func FuzzCoveredBy(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, []byte{3, 4}, int64(1))
	f.Add([]byte{}, []byte{9, 9}, int64(2))
	f.Fuzz(func(t *testing.T, a, b []byte, seed int64) {
		p, q := arbitrary(a), arbitrary(b)
		if !p.CoveredBy(p) {
			t.Errorf("not covered by itself: %+v", p.Changes)
		}
		shuffled := planOf(q.Cluster, append([]Change{}, q.Changes...)...)
		rand.New(rand.NewSource(seed)).Shuffle(len(shuffled.Changes), func(i, j int) {
			shuffled.Changes[i], shuffled.Changes[j] = shuffled.Changes[j], shuffled.Changes[i]
		})
		covered := p.CoveredBy(q)
		if covered != p.CoveredBy(shuffled) {
			t.Error("coverage depends on the order of changes")
		}
		both := planOf(p.Cluster, append(append([]Change{}, p.Changes...), q.Changes...)...)
		if !p.CoveredBy(both) || !q.CoveredBy(both) {
			t.Error("a plan is not covered by itself with another")
		}
		if covered && (p.Recreated() > q.Recreated() || p.Removed() > q.Removed()) {
			t.Errorf("covered, but touches more machines: %d/%d > %d/%d", p.Recreated(), p.Removed(), q.Recreated(), q.Removed())
		}
		if covered && Rank(p.Severity()) > Rank(q.Severity()) {
			t.Errorf("covered, but worse: %s > %s", p.Severity(), q.Severity())
		}
	})
}

// FuzzCompute compares any two objects: the same input gives the same plan, nothing differs from itself, and no secret
// gets out.
func FuzzCompute(f *testing.F) {
	f.Add([]byte(`{"files":[{"path":"/a"},{"path":"/b"}]}`), []byte(`{"files":[{"path":"/b"},{"path":"/a","content":"x"}]}`), "Secret")
	f.Add([]byte(`{"replicas":3,"version":"v1.33.0"}`), []byte(`{"replicas":2,"version":"v1.35.0"}`), "KubeadmControlPlane")
	f.Add([]byte(`{"controlPlaneEndpoint":{"host":"a"}}`), []byte(`{"controlPlaneEndpoint":null}`), "Cluster")
	f.Fuzz(func(t *testing.T, live, want []byte, kind string) {
		was, is := fuzzed(live, kind), fuzzed(want, kind)
		for _, p := range []Pair{
			changed(was, is), {Want: is, Live: was}, {Want: is}, {Live: was}, {Want: is, Previous: was},
		} {
			first, second := Compute([]Pair{p}, Options{Cluster: "c"}), Compute([]Pair{p}, Options{Cluster: "c"})
			if diff := cmp.Diff(first.Changes, second.Changes); diff != "" || first.Digest() != second.Digest() {
				t.Errorf("two runs differ:\n%s", diff)
			}
			for _, c := range first.Changes {
				if len(c.From) > 2*longestValue || len(c.To) > 2*longestValue {
					t.Errorf("a value of %d and %d bytes", len(c.From), len(c.To))
				}
				if kind == "Secret" && c.Field != "" && c.To != changedValue && strings.HasPrefix(c.Field, "data") {
					t.Errorf("data of a Secret: %+v", c)
				}
			}
		}
		if p := Compute([]Pair{changed(was, was)}, Options{}); !p.Empty() {
			t.Errorf("differs from itself: %+v", p.Changes)
		}
	})
}

func fuzzed(data []byte, kind string) *unstructured.Unstructured {
	var body any
	if json.Unmarshal(data, &body) != nil {
		body = string(data)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "x"}, "spec": body, "data": body,
	}}
}
