package chart

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/rig"
)

// TestLife goes, over a cluster that is there all along, through what docs/install.md tells: upgrade, uninstall, install
// again, remove for good, and take over what kubectl apply -k installed.
func TestLife(t *testing.T) {
	clusters := someClusters(t) // in the namespace that the notes speak of
	before := states(t, clusters)

	t.Run("NotesLeadToAFleet", func(t *testing.T) {
		notes, err := release.Helm(t.Context(), "get", "notes", release.Name)
		if err != nil {
			t.Fatal(err)
		}
		_, fleet, _ := strings.Cut(notes, "<<'EOF'\n")
		fleet, _, _ = strings.Cut(fleet, "\n  EOF")
		if out, err := kubectl(t, here.Kubeconfig, fleet, "apply", "--dry-run=server", "--server-side", "-f-"); err != nil || !strings.Contains(out, "fleet.refract.dev/production") {
			t.Errorf("what the notes say to type does not work: %s %v, in\n%s", out, err, notes)
		}
	})
	t.Run("UpgradeBringsCRDs", func(t *testing.T) {
		changed := filepath.Join(t.TempDir(), "refract")
		if err := os.CopyFS(changed, os.DirFS(install.Chart())); err != nil {
			t.Fatal(err)
		}
		replace(t, filepath.Join(changed, "templates", "generated", "crd-refract.dev_fleets.yaml"),
			"description: Fleet keeps the clusters", "description: A Fleet of the next release keeps the clusters")
		if err := release.Upgrade(t.Context(), changed, nil); err != nil {
			t.Fatal(err)
		}
		crd := crd(t, "fleets.refract.dev")
		if got := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Description; !strings.HasPrefix(got, "A Fleet of the next release") {
			t.Errorf("the CRD was not upgraded, it says %q", got)
		}
		if err := release.Upgrade(t.Context(), "", nil); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("EveryObjectIsAccepted", func(t *testing.T) {
		most := maps.Clone(everything)
		// The Prometheus operator's kinds are not there.
		most["metrics"] = values{"secure": values{"enabled": true, "certificate": "tls"}, "dashboard": values{"enabled": true}}
		if err := release.Upgrade(t.Context(), "", most); err != nil {
			t.Fatal(err)
		}
		if err := release.Upgrade(t.Context(), "", nil); err != nil {
			t.Fatal(err)
		}
	})

	uids := map[string]string{}
	for _, name := range crdNames {
		uids[name] = string(crd(t, name).UID)
	}
	if err := release.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("UninstallTakesTheOperator", func(t *testing.T) {
		for kind, names := range gone(t) {
			if len(names) > 0 {
				t.Errorf("left behind: %s %s", kind, names)
			}
		}
	})
	t.Run("UninstallKeepsProtection", func(t *testing.T) {
		err := release.Client.Delete(t.Context(), clusters[0].DeepCopy(), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "is protected by Refract") {
			t.Errorf("a protected Cluster can be deleted: %v", err)
		}
	})
	t.Run("UninstallLeavesClusters", func(t *testing.T) {
		if diff := cmp.Diff(before, states(t, clusters)); diff != "" {
			t.Errorf("uninstalling changed objects: %s", diff)
		}
	})

	if err := release.Install(t.Context(), "", nil); err != nil {
		t.Fatalf("installing again: %v", err)
	}
	t.Run("InstallAgainAdopts", func(t *testing.T) {
		for _, name := range crdNames {
			if got := string(crd(t, name).UID); got != uids[name] {
				t.Errorf("CRD %s was made anew", name)
			}
		}
		if diff := cmp.Diff(before, states(t, clusters)); diff != "" {
			t.Errorf("installing again changed objects: %s", diff)
		}
	})

	if err := release.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("RemovedForGood", func(t *testing.T) {
		say(t, "label", "crd", "-l", "app.kubernetes.io/part-of=refract", "refract.dev/protect-")
		say(t, "delete", "crd,validatingadmissionpolicy,validatingadmissionpolicybinding", "-l", "app.kubernetes.io/part-of=refract")
		if left := say(t, "get", "crd,validatingadmissionpolicy,validatingadmissionpolicybinding", "-o", "name"); strings.Contains(left, "refract") {
			t.Errorf("left behind: %s", left)
		}
		cluster := clusters[:1]
		if diff := cmp.Diff(before["Cluster edge-01"], states(t, cluster)["Cluster edge-01"]); diff != "" {
			t.Errorf("removing Refract changed the Cluster: %s", diff)
		}
	})
	t.Run("TakesOverFromKustomize", func(t *testing.T) {
		config := filepath.Join(rig.Root(), "config")
		if err := rig.Uses(config); err != nil {
			t.Fatal(err)
		}
		say(t, "apply", "-k", filepath.Join(config, "default"))
		uid := crd(t, "fleets.refract.dev").UID
		say(t, "-n", release.Namespace, "delete", "deployment", "refract-manager")
		if err := release.Install(t.Context(), "", nil, "--take-ownership", "--force-conflicts"); err != nil {
			t.Fatal(err)
		}
		if crd(t, "fleets.refract.dev").UID != uid {
			t.Error("the CRDs were made anew")
		}
		if err := release.Upgrade(t.Context(), "", nil); err != nil {
			t.Errorf("from then on it is a release like any other: %v", err)
		}
	})
}

// say runs kubectl as an administrator.
func say(t *testing.T, args ...string) string {
	t.Helper()
	out, err := kubectl(t, here.Kubeconfig, "", args...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

// TestAnotherReleaseIsRefused shows that two operators do not come to fight over the same clusters by accident.
func TestAnotherReleaseIsRefused(t *testing.T) {
	_, err := install.Install(t.Context(), here, install.Options{Name: "second", Namespace: "refract-second"})
	if err == nil || !strings.Contains(err.Error(), "refract.dev") || !strings.Contains(err.Error(), "meta.helm.sh/release-name") {
		t.Errorf("want helm to name a CRD that belongs to release refract, got %v", err)
	}
}

var crdNames = []string{"cloudaccounts.refract.dev", "clusterprofiles.refract.dev", "fleets.refract.dev", "nutanixclusterspecs.refract.dev"}

func crd(t *testing.T, name string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("apiextensions.k8s.io/v1")
	o.SetKind("CustomResourceDefinition")
	get(t, client.ObjectKey{Name: name}, o)
	return decode[apiextensionsv1.CustomResourceDefinition](t, o)
}

// gone lists, by kind, what carries the release's labels and must not stay.
func gone(t *testing.T) map[string][]string {
	t.Helper()
	left := map[string][]string{}
	for kind, apiVersion := range map[string]string{
		"Deployment": "apps/v1", "ServiceAccount": "v1", "Service": "v1", "PodDisruptionBudget": "policy/v1", "NetworkPolicy": "networking.k8s.io/v1",
		"ClusterRole": "rbac.authorization.k8s.io/v1", "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
		"Role": "rbac.authorization.k8s.io/v1", "RoleBinding": "rbac.authorization.k8s.io/v1",
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk(apiVersion, kind+"List"))
		if err := release.Client.List(t.Context(), list, client.MatchingLabels{"app.kubernetes.io/instance": release.Name}); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			left[kind] = append(left[kind], list.Items[i].Name)
		}
	}
	return left
}

func replace(t *testing.T, file, old, changed string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, changed, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
