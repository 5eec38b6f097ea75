package api

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestColumns shows what a person sees, by every name that the kinds go by.
func TestColumns(t *testing.T) {
	condition := func(kind, status, reason string) fields {
		return fields{
			"type": kind, "status": status, "reason": reason, "message": "Applied revision main@sha1:1f3c9a2",
			"lastTransitionTime": metav1.Now(),
		}
	}
	ready := condition("Ready", "True", "Succeeded")
	cases := map[string]struct {
		reason string
		kind   string
		status fields
		names  []string
		wide   bool
		header []string
		row    []string // without the age, which is the last column
	}{
		"Fleets": {
			reason: "how many clusters, and which revision",
			kind:   "Fleet",
			status: fields{
				"lastAppliedRevision": "main@sha1:1f3c9a2", "conditions": []any{ready},
				"clusters": fields{"total": 40, "ready": 39, "drifted": 1, "held": 0},
			},
			names:  []string{"fleets", "fleet", "fl", "fleets.refract.dev"},
			header: []string{"NAME", "READY", "CLUSTERS", "HELD", "DRIFTED", "REVISION", "AGE"},
			row:    []string{"production", "True", "40", "0", "1", "main@sha1:1f3c9a2"},
		},
		"Clusters": {
			reason: "the table of the design",
			kind:   "NutanixClusterSpec",
			status: fields{
				"phase": "Running", "profile": "standard@1.4.0", "kubernetesVersion": "v1.33.4", "shortRevision": "1f3c9a2",
				"controlPlane": fields{"desired": 3, "available": 3, "upToDate": 3, "summary": "3/3"},
				"workers":      fields{"desired": 3, "available": 3, "upToDate": 3, "summary": "3/3"},
				"conditions":   []any{ready, condition("InSync", "True", "InSync")},
			},
			names:  []string{"nutanixclusterspecs", "nutanixclusterspec", "ncs"},
			header: []string{"NAME", "READY", "PHASE", "PROFILE", "VERSION", "CP", "WORKERS", "SYNC", "REVISION", "AGE"},
			row:    []string{"edge-01", "True", "Running", "standard@1.4.0", "v1.33.4", "3/3", "3/3", "InSync", "1f3c9a2"},
		},
		"Accounts": {
			reason: "which Prism Central",
			kind:   "CloudAccount",
			status: fields{"clusters": 4, "prismCentral": "7.5", "conditions": []any{ready}},
			names:  []string{"cloudaccounts", "ca"},
			header: []string{"NAME", "READY", "ADDRESS", "VERSION", "CLUSTERS", "AGE"},
			row:    []string{"pc-east", "True", "pc-east.example.com", "7.5", "4"},
		},
		"Profiles": {
			reason: "which version; rcp, since other projects have a ClusterProfile, too",
			kind:   "ClusterProfile",
			names:  []string{"clusterprofiles.refract.dev", "rcp"},
			header: []string{"NAME", "PROFILE", "VERSION", "TYPE", "AGE"},
			row:    []string{"standard-1.4.0", "standard", "1.4.0", "Full"},
		},
		"WideTellsWhy": {
			reason: "the message of Ready, for when it is not",
			kind:   "Fleet",
			status: fields{"conditions": []any{ready}},
			names:  []string{"fleets"},
			wide:   true,
			header: []string{"NAME", "READY", "CLUSTERS", "HELD", "DRIFTED", "REVISION", "STATUS", "AGE"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := sample(t, c.kind)
			if err := admin.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			remove(t, o)
			if c.status != nil {
				change(t, o, fields{"status": c.status})
				if err := admin.Status().Update(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			for _, resource := range c.names {
				args := []string{"get", resource}
				if c.wide {
					args = append(args, "--output=wide")
				}
				lines := strings.Split(strings.TrimSpace(kubectl(t, args...)), "\n")
				if diff := cmp.Diff(c.header, strings.Fields(lines[0])); diff != "" {
					t.Errorf("%s: header of %s (-want +got):\n%s", c.reason, resource, diff)
				}
				if c.row == nil {
					continue
				}
				got := strings.Fields(lines[1])
				if diff := cmp.Diff(c.row, got[:len(got)-1]); diff != "" {
					t.Errorf("%s: row of %s (-want +got):\n%s", c.reason, resource, diff)
				}
			}
		})
	}
}

// TestCategory shows that one word lists everything of Refract.
func TestCategory(t *testing.T) {
	var want []string
	for _, kind := range []string{"Fleet", "CloudAccount", "ClusterProfile", "NutanixClusterSpec"} {
		o := sample(t, kind)
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		remove(t, o)
		want = append(want, strings.ToLower(kind)+".refract.dev/"+o.GetName())
	}
	got := kubectl(t, "get", "refract", "--output=name")
	for _, name := range want {
		if !strings.Contains(got, name+"\n") {
			t.Errorf("kubectl get refract does not list %s:\n%s", name, got)
		}
	}
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "--kubeconfig="+here.Kubeconfig, "--namespace=default")
	out, err := exec.CommandContext(t.Context(), here.Kubectl, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
