package chart

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/chart/install"
)

// TestPodIsRestricted has the API server judge the pods of the Deployment in a namespace that enforces pod security
// standard restricted, and shows that it does judge.
func TestPodIsRestricted(t *testing.T) {
	operator, err := release.Operator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := install.Render(t.Context(), t.TempDir(), "", everything)
	if err != nil {
		t.Fatal(err)
	}
	full := parse(t, text).deployment(t).Spec.Template
	full.Spec.PriorityClassName = "" // made by a controller that does not run
	yes := true
	cases := map[string]struct {
		reason   string
		template corev1.PodTemplateSpec
		change   func(*corev1.Container)
		refuse   string
	}{
		"Defaults":   {reason: "as installed", template: operator.Template},
		"Everything": {reason: "whatever the values", template: full},
		"Escalation": {
			reason: "the namespace enforces", template: operator.Template, refuse: "allowPrivilegeEscalation",
			change: func(c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = &yes },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: release.Namespace, Name: "judged", Labels: c.template.Labels},
				Spec:       *c.template.Spec.DeepCopy(),
			}
			if c.change != nil {
				c.change(&pod.Spec.Containers[0])
			}
			err := release.Client.Create(t.Context(), pod, client.DryRunAll)
			switch {
			case c.refuse == "" && err != nil:
				t.Errorf("%s: %v", c.reason, err)
			case c.refuse != "" && (err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) || !strings.Contains(err.Error(), c.refuse)):
				t.Errorf("%s: want %q to be refused, got %v", c.reason, c.refuse, err)
			}
		})
	}
	if root := operator.Template.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem; root == nil || !*root {
		t.Error("the root file system can be written; restricted does not ask for that, we do")
	}
}

// TestAccountIsTheOperators connects as the pod would and asks for its rights.
func TestAccountIsTheOperators(t *testing.T) {
	config, err := release.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	operator, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lease := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: release.Namespace, Name: "refract.dev"}}
	lease.SetGroupVersionKind(gvk("coordination.k8s.io/v1", "Lease"))
	if err := client.IgnoreNotFound(operator.Get(t.Context(), client.ObjectKeyFromObject(lease), lease)); err != nil {
		t.Errorf("the lease of the leader: %v", err)
	}
	fleets := &metav1.PartialObjectMetadataList{}
	fleets.SetGroupVersionKind(gvk("refract.dev/v1alpha1", "FleetList"))
	if err := operator.List(t.Context(), fleets); err != nil {
		t.Errorf("Fleets of all namespaces: %v", err)
	}
	lease.Namespace = "default"
	if err := operator.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err == nil || !strings.Contains(err.Error(), "is forbidden") {
		t.Errorf("leases of another namespace: %v", err)
	}
}
