package chart

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/chart/install"
)

// TestPeopleMay asks the API server what those may do who hold one role in one namespace.
func TestPeopleMay(t *testing.T) {
	const namespace = "people"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	filled(t)
	ours := []string{"fleets", "cloudaccounts", "clusterprofiles", "nutanixclusterspecs"}
	approved := []string{"fleets", "nutanixclusterspecs"}
	reading := []string{"get", "list", "watch"}
	writing := []string{"create", "update", "patch", "delete"}
	cases := map[string]struct {
		reason    string
		role      string
		verbs     []string
		resources []string
		want      bool
	}{
		"ViewReads":            {"Kubernetes' view shows fleets", "view", reading, ours, true},
		"ViewWritesNothing":    {"and no more", "view", writing, ours, false},
		"EditWrites":           {"Kubernetes' edit writes files' objects by hand", "edit", slices.Concat(reading, writing), ours, true},
		"EditDoesNotApprove":   {"approving is not editing", "edit", []string{"approve", "plan"}, approved, false},
		"AdminApproves":        {"Kubernetes' admin approves", "admin", append(slices.Concat(reading, writing), "approve"), approved, true},
		"AdminWrites":          {"and writes", "admin", slices.Concat(reading, writing), ours, true},
		"AdminOfNoCluster":     {"machines are Cluster API's business", "admin", writing, []string{"clusters.cluster.x-k8s.io"}, false},
		"ViewerReads":          {"the same without Kubernetes' roles", "refract-viewer", reading, ours, true},
		"ViewerWritesNothing":  {"and no more", "refract-viewer", append(slices.Clone(writing), "approve", "plan"), ours, false},
		"EditorWrites":         {"likewise", "refract-editor", slices.Concat(reading, writing), ours, true},
		"EditorSeesNoSecret":   {"only Refract's objects", "refract-editor", reading, []string{"secrets"}, false},
		"OurAdminApproves":     {"likewise", "refract-admin", append(slices.Concat(reading, writing), "approve"), approved, true},
		"ApproverApproves":     {"annotates what is held", "refract-approver", append(slices.Clone(reading), "patch", "approve"), approved, true},
		"ApproverWritesNoFile": {"and writes nothing else", "refract-approver", []string{"create", "update", "delete"}, ours, false},
		"PlannerTries":         {"what a plan would write, as dry runs", "refract-planner", append(slices.Clone(reading), "create", "patch", "plan"), append(slices.Clone(ours), "clusters.cluster.x-k8s.io", "secrets"), true},
		"PlannerDoesNoMore":    {"nothing that no plan takes", "refract-planner", []string{"update", "delete", "deletecollection", "approve"}, append(slices.Clone(ours), "clusters.cluster.x-k8s.io", "secrets"), false},
		"PlannerSeesMachines":  {"whether machines roll depends on them", "refract-planner", reading, []string{"machines.cluster.x-k8s.io", "nutanixmachines.infrastructure.cluster.x-k8s.io"}, true},
		"PlannerMakesNone":     {"and only Cluster API makes them", "refract-planner", []string{"create", "patch"}, []string{"machines.cluster.x-k8s.io", "nutanixmachines.infrastructure.cluster.x-k8s.io"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := "may-" + strings.ToLower(name)
			bind(t, namespace, user, c.role)
			for _, verb := range c.verbs {
				for _, resource := range c.resources {
					if !strings.Contains(resource, ".") && resource != "secrets" {
						resource += ".refract.dev"
					}
					if got := may(t, namespace, user, verb, resource); got != c.want {
						t.Errorf("%s: %s may %s %s: %v", c.reason, c.role, verb, resource, got)
					}
				}
			}
		})
	}
}

// filled waits until Kubernetes' own roles hold ours.
func filled(t *testing.T) {
	t.Helper()
	gomega.NewWithT(t).Eventually(t.Context(), func() (missing []string) {
		for _, name := range []string{"view", "edit", "admin"} {
			role := &rbacv1.ClusterRole{}
			get(t, client.ObjectKey{Name: name}, role)
			if !slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.APIGroups, "refract.dev") }) {
				missing = append(missing, name)
			}
		}
		return missing
	}).WithTimeout(waiting).Should(gomega.BeEmpty())
}

// bind gives a user a ClusterRole in a namespace.
func bind(t *testing.T, namespace, user, role string) {
	t.Helper()
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	known := &rbacv1.ClusterRole{}
	get(t, client.ObjectKey{Name: role}, known)
	rule := known.Rules[0]
	resource := rule.Resources[0]
	if rule.APIGroups[0] != "" {
		resource += "." + rule.APIGroups[0]
	}
	// The authorizer's cache follows the binding.
	gomega.NewWithT(t).Eventually(t.Context(), func() bool { return may(t, namespace, user, rule.Verbs[0], resource) }).
		WithTimeout(waiting).Should(gomega.BeTrue(), "user %s does not get role %s", user, role)
}

// may asks what kubectl auth can-i asks.
func may(t *testing.T, namespace, user, verb, resource string) bool {
	t.Helper()
	resource, group, _ := strings.Cut(resource, ".")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               user,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource},
	}}
	if err := release.Client.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// as is a kubeconfig of a user without any rights but those bound to it.
func as(t *testing.T, user string) string {
	t.Helper()
	config, err := here.User(user)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), user+".kubeconfig")
	if err := install.Kubeconfig(path, config); err != nil {
		t.Fatal(err)
	}
	return path
}

// kubectl runs the real kubectl and returns all that it says.
func kubectl(t *testing.T, kubeconfig, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), here.Kubectl, append([]string{"--kubeconfig", kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w", args[0], err)
	}
	return string(out), err
}
