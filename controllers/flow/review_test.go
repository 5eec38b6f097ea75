package flow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/test/rig"
)

// files are those of a fleet, by name.
type files map[string]string

// threeClusters are edge-00, edge-01 and edge-02, each with a control plane of three and three workers.
func threeClusters() files {
	f := files{"account.yaml": rig.Account("pc-east", "pc.example.com"), "profile.yaml": rig.Profile("1.0.0", "v1.33.4")}
	for i := range 3 {
		c := rig.Cluster{Name: fmt.Sprintf("edge-%02d", i), Endpoint: fmt.Sprintf("10.20.0.%d", 10+i), ControlPlanes: 3, Workers: 3}
		f[c.Name+".yaml"] = c.File()
	}
	return f
}

// in replaces text of a file, which must be there.
func (f files) in(t *testing.T, name, old, text string) {
	t.Helper()
	if !strings.Contains(f[name], old) {
		t.Fatalf("%s does not hold %q", name, old)
	}
	f[name] = strings.Replace(f[name], old, text, 1)
}

func (f files) decode() *fleet.Fleet {
	all := fstest.MapFS{}
	for name, text := range f {
		all["fleet/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	decoded, _ := fleet.Decode(all, "fleet", fleet.Options{}) // its error is in the Fleet, too
	return &decoded
}

// verdict is what a review says of a cluster, as far as the tests look.
func verdict(c view.ClusterReport) string {
	out := fmt.Sprintf("%s %s recreated=%d removed=%d", c.Plan.Cluster, c.Plan.Severity(), c.Plan.Recreated(), c.Plan.Removed())
	if c.Decision != nil && !c.Decision.Accepted {
		out += " held:" + c.Decision.Reason
	}
	if c.Kept != "" {
		out += " kept"
	}
	if c.Pending {
		out += " pending"
	}
	return out
}

func verdicts(r view.Report) []string {
	var all []string
	for _, c := range r.Clusters {
		all = append(all, verdict(c))
	}
	return all
}

// TestReviewPredicted compares two revisions of the files and asks nobody.
func TestReviewPredicted(t *testing.T) {
	pool := "      replicas: 3\n      machine: {vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi}\n"
	autoscaled := strings.Replace(pool, "replicas: 3", "autoscaling: {min: 1, max: 9}", 1)
	onePool := func(text string) func(*testing.T, files) {
		return func(t *testing.T, f files) { t.Helper(); f.in(t, "edge-01.yaml", pool, text) }
	}
	for name, c := range map[string]struct {
		reason     string
		base, head func(*testing.T, files)
		want       string
		mistakes   int
	}{
		"Nothing": {reason: "the same files ask for nothing"},
		"PolicyAlone": {
			reason: "what Refract alone reads changes no object",
			head: func(t *testing.T, f files) {
				t.Helper()
				f.in(t, "edge-01.yaml", "deletionPolicy: Protect", "drift: {objects: Report}")
			},
		},
		"MoreWorkers": {reason: "scaling up re-creates nothing", head: onePool(strings.Replace(pool, "3", "5", 1)), want: "edge-01 InPlace recreated=0 removed=0"},
		"FewerWorkers": {
			reason: "nothing comes in the place of what is scaled down", head: onePool(strings.Replace(pool, "3", "1", 1)),
			want: "edge-01 Remove recreated=0 removed=2",
		},
		"Memory": {
			reason: "a template's content is its name: each machine is made anew", head: onePool(strings.Replace(pool, "4Gi", "8Gi", 1)),
			want: "edge-01 Rollout recreated=3 removed=0",
		},
		"MemoryAndFewer": {
			reason: "those that go are not re-created first", head: onePool(strings.NewReplacer("4Gi", "8Gi", "replicas: 3", "replicas: 2").Replace(pool)),
			want: "edge-01 Remove recreated=2 removed=1",
		},
		"Label":  {reason: "the kubelet registers it", head: onePool(pool + "      labels: {tier: app}\n"), want: "edge-01 Rollout recreated=3 removed=0"},
		"Taint":  {reason: "likewise", head: onePool(pool + "      taints: [{key: a, value: b, effect: NoSchedule}]\n"), want: "edge-01 Rollout recreated=3 removed=0"},
		"Health": {reason: "a health check is tuned in place", head: onePool(pool + "      healthCheck: {enabled: true, nodeStartupTimeoutSeconds: 900}\n"), want: "edge-01 InPlace recreated=0 removed=0"},
		"Surge":  {reason: "how it rolls is no reason to roll", head: onePool(pool + "      rollout: {maxSurge: 2}\n"), want: "edge-01 InPlace recreated=0 removed=0"},
		"PoolAdded": {
			reason: "new machines take nothing away", head: onePool(pool + "    - name: more\n" + pool),
			want: "edge-01 InPlace recreated=0 removed=0",
		},
		"PoolRemoved": {
			reason: "a pool goes with its machines", base: onePool(pool + "    - name: more\n" + pool),
			want: "edge-01 Remove recreated=0 removed=3",
		},
		"AutoscaledMemory": {
			reason: "how many machines there are no file says: its maximum counts", base: onePool(autoscaled),
			head: onePool(strings.Replace(autoscaled, "4Gi", "8Gi", 1)), want: "edge-01 Rollout recreated=9 removed=0",
		},
		"AutoscalerBounds": {
			reason: "the autoscaler moves by itself", base: onePool(autoscaled), head: onePool(strings.Replace(autoscaled, "9", "6", 1)),
			want: "edge-01 InPlace recreated=0 removed=0",
		},
		"AutoscaledToFixed": {reason: "there may be as many as its maximum", base: onePool(autoscaled), want: "edge-01 Remove recreated=0 removed=6 held:LimitExceeded"},
		"AutoscaledGone": {
			reason: "likewise", base: onePool(pool + "    - name: more\n" + autoscaled), want: "edge-01 Remove recreated=0 removed=9 held:LimitExceeded",
		},
		"ControlPlaneShrinks": {
			reason: "5 to 3 removes two", base: func(t *testing.T, f files) {
				t.Helper()
				f.in(t, "edge-01.yaml", "    replicas: 3\n", "    replicas: 5\n")
			},
			want: "edge-01 Remove recreated=0 removed=2",
		},
		"ControlPlaneToOne": {
			reason: "etcd does not survive that", head: func(t *testing.T, f files) {
				t.Helper()
				f.in(t, "edge-01.yaml", "    replicas: 3\n", "    replicas: 1\n")
			},
			want: "edge-01 Forbidden recreated=0 removed=0 held:Forbidden",
		},
		"ControlPlaneMemory": {
			reason: "the control plane alone rolls", head: func(t *testing.T, f files) { t.Helper(); f.in(t, "edge-01.yaml", "memory: 4Gi", "memory: 8Gi") },
			want: "edge-01 Rollout recreated=3 removed=0",
		},
		"ObjectName": {
			reason: "the API server lets nobody change it, and no plan gets as far as that",
			base:   onePool(pool + "      objectName: workers-before\n"), head: onePool(pool + "      objectName: workers-now\n"),
			want: "edge-01 None recreated=0 removed=0 held:Forbidden",
		},
		"Endpoint": {
			reason: "machines would lose their API server", head: func(t *testing.T, f files) { t.Helper(); f.in(t, "edge-01.yaml", "10.20.0.11", "10.20.0.99") },
			want: "edge-01 Forbidden recreated=3 removed=0 held:Forbidden",
		},
		"Upgrade": {
			reason: "every machine of the cluster gets the new version", head: func(t *testing.T, f files) {
				t.Helper()
				f["next.yaml"] = rig.Profile("1.1.0", "v1.34.1")
				f.in(t, "edge-01.yaml", `"1.0.0"`, `"1.1.0"`)
			},
			want: "edge-01 Rollout recreated=6 removed=0",
		},
		"Downgrade": {
			reason: "Kubernetes does not go back", head: func(t *testing.T, f files) {
				t.Helper()
				f["next.yaml"] = rig.Profile("0.9.0", "v1.32.1")
				f.in(t, "edge-01.yaml", `"1.0.0"`, `"0.9.0"`)
			},
			want: "edge-01 Forbidden recreated=6 removed=0 held:Forbidden",
		},
		"New":         {reason: "a new cluster", base: func(_ *testing.T, f files) { delete(f, "edge-01.yaml") }, want: "edge-01 InPlace recreated=0 removed=0"},
		"GoneProtect": {reason: "policy Protect keeps it", head: func(_ *testing.T, f files) { delete(f, "edge-01.yaml") }, want: "edge-01 None recreated=0 removed=0 kept"},
		"GoneDelete": {
			reason: "deletions always wait for a word", base: func(t *testing.T, f files) { t.Helper(); f.in(t, "edge-01.yaml", "Protect", "Delete") },
			head: func(_ *testing.T, f files) { delete(f, "edge-01.yaml") }, want: "edge-01 Destroy recreated=0 removed=6 held:LimitExceeded",
		},
		"Mistake": {
			reason: "one wrong file says so and stops no other", mistakes: 1,
			head: func(t *testing.T, f files) {
				t.Helper()
				f.in(t, "edge-00.yaml", "vcpuSockets: 2", "vcpuSockets: many")
				f.in(t, "edge-01.yaml", pool, strings.Replace(pool, "4Gi", "8Gi", 1))
			},
			want: "edge-01 Rollout recreated=3 removed=0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, head := threeClusters(), threeClusters()
			if c.base != nil {
				c.base(t, base)
			}
			if c.head != nil {
				c.head(t, head)
			}
			r, err := flow.Review(t.Context(), head.decode(), base.decode(), flow.Scene{Fleet: &v1alpha1.Fleet{}})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if got := verdicts(r); !slices.Equal(got, want) {
				t.Errorf("%s: says %q, want %q\n%+v", c.reason, got, want, r.Clusters)
			}
			if len(r.Mistakes) != c.mistakes || !r.Predicted {
				t.Errorf("%s: mistakes %+v, want %d; predicted %t", c.reason, r.Mistakes, c.mistakes, r.Predicted)
			}
			for _, one := range r.Clusters {
				if !one.Plan.Predicted && one.Kept == "" {
					t.Errorf("%s is not marked as predicted", one.Plan.Cluster)
				}
			}
			if total := len(r.Clusters) + r.Unchanged + len(r.Mistakes); total != 3 {
				t.Errorf("%d clusters are accounted for, want 3: %d unchanged", total, r.Unchanged)
			}
		})
	}
}

// TestReviewRendersWhatDiffers counts renders: a commit to one cluster costs the same whatever the fleet holds.
func TestReviewRendersWhatDiffers(t *testing.T) {
	base, head := threeClusters(), threeClusters()
	head.in(t, "edge-02.yaml", "memory: 4Gi", "memory: 8Gi")
	before := flow.Renders()
	if _, err := flow.Review(t.Context(), head.decode(), base.decode(), flow.Scene{}); err != nil {
		t.Fatal(err)
	}
	if n := flow.Renders() - before; n != 2 {
		t.Errorf("%d renders for one changed cluster, want 2: one of each revision", n)
	}
}

// TestReviewNothingToCompareWith has all created, as when a fleet begins.
func TestReviewNothingToCompareWith(t *testing.T) {
	r, err := flow.Review(t.Context(), threeClusters().decode(), nil, flow.Scene{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Clusters) != 3 || r.Clusters[0].Decision != nil || r.Clusters[0].Plan.Severity() != v1alpha1.SeverityInPlace || !r.Predicted {
		t.Errorf("want three created clusters and no gate, got %q", verdicts(r))
	}
}

// TestReviewBrokenBase says that a file that was wrong before cannot be compared.
func TestReviewBrokenBase(t *testing.T) {
	base := threeClusters()
	base.in(t, "edge-01.yaml", "vcpuSockets: 2", "vcpuSockets: many")
	r, err := flow.Review(t.Context(), threeClusters().decode(), base.decode(), flow.Scene{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Clusters) != 0 || len(r.Mistakes) != 0 || !strings.Contains(r.Note, "edge-01") {
		t.Errorf("says %q, mistakes %v, note %q", verdicts(r), r.Mistakes, r.Note)
	}
}
