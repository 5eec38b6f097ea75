package chart

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/cli"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	refractplan "github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/test/rig"
)

// request is one line of the API server's audit log.
type request struct {
	Verb string `json:"verb"`
	URI  string `json:"requestURI"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Response struct {
		Code int32 `json:"code"`
	} `json:"responseStatus"`
}

// reads says whether a request changes nothing by what it is.
func (r request) reads() bool { return slices.Contains([]string{"get", "list", "watch"}, r.Verb) }

// dryRun says whether a request asks for nothing to be stored.
func (r request) dryRun() bool {
	uri, err := url.Parse(r.URI)
	return err == nil && slices.Contains(uri.Query()["dryRun"], "All")
}

// asked are the requests of a user so far.
func asked(t *testing.T, user string) []request {
	t.Helper()
	file, err := os.Open(here.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var all []request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.User.Username == user { // the last line may be half written
			all = append(all, r)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPlanWritesNothing makes exact plans with the planner's rights, of new and of living objects, and holds the audit log
// against them: reads and dry runs, and a real write with the same rights is denied.
func TestPlanWritesNothing(t *testing.T) {
	const namespace, user = "audited", "audited-planner"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	bind(t, namespace, user, "refract-planner")
	bind(t, namespace, "planner", "refract-planner") // who finds out that the policy holds
	config := as(t, user)
	enforced(t, namespace)

	files := t.TempDir()
	cluster := rig.Cluster{Name: "edge-01", Endpoint: "10.20.0.10", ControlPlanes: 1}
	writeFleet(t, files, cluster)
	account := object(t, rig.Account("pc-east", "pc-east.example.com"))
	account.SetNamespace(namespace)
	create(t, account)
	if err := release.Client.Get(t.Context(), client.ObjectKeyFromObject(account), account); err != nil {
		t.Fatal(err)
	}
	account.Object["status"] = map[string]any{
		"inventoryAt": "2026-11-22T09:00:00Z",
		"elements":    []any{map[string]any{"name": "PE-1", "hosts": int64(4), "spareVCPUs": int64(64), "spareMemory": "210Gi"}},
	}
	if err := release.Client.Status().Update(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	f := object(t, tried["Fleet"])
	f.SetName("production")
	f.SetNamespace(namespace)
	create(t, f)

	before := len(asked(t, user))
	plan := func(args ...string) (view.Document, string) {
		t.Helper()
		var out, errs bytes.Buffer
		all := append([]string{"plan", files, "--fleet", "production", "--namespace", namespace, "--kubeconfig", config, "-o", "json"}, args...)
		code := cli.Main(t.Context(), all, strings.NewReader(""), &out, &errs)
		var doc view.Document
		if err := json.Unmarshal(out.Bytes(), &doc); err != nil || code != 1 {
			t.Fatalf("refract plan ended with %d, want 1 for changes: %v %s%s", code, err, errs.String(), out.String())
		}
		return doc, out.String()
	}
	doc, text := plan()
	if !doc.Live || doc.Predicted || len(doc.Clusters) != 1 || doc.Clusters[0].Predicted {
		t.Errorf("want an exact plan of cluster edge-01, got\n%s", text)
	}
	if len(doc.Capacity) != 1 || !doc.Capacity[0].Known || doc.Capacity[0].FreeVCPUs != 64 || !doc.Capacity[0].OneHostLost || doc.Capacity[0].NeedVCPUs != 2 {
		t.Errorf("want what is needed beside what the status of the account tells, got %+v", doc.Capacity)
	}
	if strings.Contains(doc.Note, "is not known here") {
		t.Errorf("a planner may list the records of what is unfinished, and yet: %s", doc.Note)
	}

	// Objects that live are patched, not created.
	decoded, err := fleet.Decode(os.DirFS(files), ".", fleet.Options{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	in := render.FromFleet(decoded.Clusters[0])
	in.Cluster.Namespace = namespace
	live := kube.Cluster{Client: release.Client, Reader: release.Client, Namespace: namespace, Name: cluster.Name}
	made, err := flow.Propose(t.Context(), in, live, "", refractplan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.Apply(t.Context(), made.Plan); err != nil {
		t.Fatal(err)
	}
	cluster.ControlPlaneMemory = "8Gi"
	writeFleet(t, files, cluster)
	if doc, text := plan(); !strings.Contains(text, `"action": "Update"`) || doc.Clusters[0].Severity != v1alpha1.SeverityRollout {
		t.Errorf("want a control plane that rolls, got\n%s", text)
	}

	if out, err := kubectl(t, config, tried["ConfigMap"], "create", "-f-", "--namespace", namespace); err == nil {
		t.Errorf("a real write with a planner's rights was accepted: %s", out)
	}
	var dryRuns int
	gomega.NewWithT(t).Eventually(t.Context(), func() error {
		dryRuns = 0
		denied := 0
		for _, r := range asked(t, user)[before:] {
			switch {
			case r.reads():
			case r.dryRun():
				dryRuns++
			case r.Response.Code >= 400:
				denied++
			default:
				return fmt.Errorf("planning wrote: %s %s: %d", r.Verb, r.URI, r.Response.Code)
			}
		}
		if denied == 0 {
			return errors.New("the refused write is not in the audit log: it is not read right")
		}
		return nil
	}).WithTimeout(waiting).Should(gomega.Succeed())
	if dryRuns < 10 {
		t.Errorf("%d dry runs, want one for each rendered object of two plans", dryRuns)
	}
}

// writeFleet writes the files of a fleet of one cluster without pools: the selector of a MachineDeployment is set by
// Cluster API's webhook, which does not run here.
func writeFleet(t *testing.T, dir string, cluster rig.Cluster) {
	t.Helper()
	spec, rest, _ := strings.Cut(cluster.File(), "  nodePools:\n")
	_, rest, _ = strings.Cut(rest, "  machineDefaults:")
	for name, text := range map[string]string{
		"account.yaml": rig.Account("pc-east", "pc-east.example.com"), "profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		cluster.Name + ".yaml": spec + "  machineDefaults:" + rest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
