package kube

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/refract-dev/refract/render/plan"
)

func TestRefusal(t *testing.T) {
	files := field.NewPath("spec", "kubeadmConfigSpec", "files").Index(1)
	users := field.NewPath("spec", "kubeadmConfigSpec", "users").Index(0)
	invalid := func(mistakes ...*field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "KubeadmControlPlane"}, "c-kcp", mistakes)
	}
	answer := func(code int32, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: metav1.StatusReasonForbidden, Message: message}}
	}
	// Whoever reads the plan may see what Cluster API says, and nothing of what others say.
	for _, c := range []struct {
		err            error
		public, hidden bool
	}{
		{answer(403, `admission webhook "x" denied the request: payroll`), false, false},
		{answer(403, `admission webhook "x" denied the request: payroll`), true, true},
		{&apierrors.StatusError{ErrStatus: metav1.Status{
			Code: 422, Message: `admission webhook "x" denied the request: no`,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseTypeForbidden, Field: "spec", Message: "payroll"}}},
		}}, true, true},
		{answer(403, `admission webhook "validation.x-k8s.io" denied the request: payroll`), true, false},
		{answer(422, `spec.replicas: Invalid value: payroll`), true, false},
	} {
		for _, kind := range []string{"Cluster", "KubeadmControlPlane"} {
			got := Cluster{Public: c.public}.refusal(fromYAML(t, "kind: "+kind), c.err)
			if got == "" || (got == plan.Unshown) != c.hidden || c.hidden && strings.Contains(got, "payroll") {
				t.Errorf("of %v is shown %q", c.err, got)
			}
		}
	}
	cases := map[string]struct {
		kind   string
		err    error
		want   []string // none: not a refusal
		reason string
	}{
		"FileQuoted": {
			kind: "KubeadmControlPlane",
			err:  invalid(field.Invalid(files, map[string]string{"content": "hush"}, "only one of content and contentFrom"), field.Invalid(users, "passwd: hush", "no")),
			want: []string{"spec.kubeadmConfigSpec.files[1] (FieldValueInvalid)", "spec.kubeadmConfigSpec.users[0] (FieldValueInvalid)"},
		},
		"TemplateQuoted": {kind: "KubeadmConfigTemplate", err: invalid(field.Invalid(files, "hush", "no")), want: []string{"files[1]"}},
		"WordsWithoutAValue": {
			kind: "KubeadmControlPlane", err: invalid(field.Forbidden(field.NewPath("spec", "replicas"), "cannot be an even number")),
			want: []string{"spec.replicas", "cannot be an even number"}, reason: "nothing is quoted, and people need the words",
		},
		"NothingQuoted": {kind: "MachineDeployment", err: invalid(field.Invalid(files, 7, "too many")), want: []string{"too many"}},
		"Mistyped": {
			kind: "ConfigMap",
			err:  answer(500, `failed to create typed patch object (ns/x; /v1, Kind=ConfigMap): .data.key: expected string, got &value.valueUnstructured{Value:"hush"}`),
			want: []string{"data.key (expected string)"},
		},
		"MistypedItem": {
			kind: "KubeadmControlPlane", err: answer(500, `failed to create typed patch object (): .spec.files[path="/x"].list[="hush"].mode: field not declared in schema`),
			want: []string{`spec.files[path="/x"].list[].mode (field not declared in schema)`},
		},
		"Webhook":   {kind: "Cluster", err: answer(403, `admission webhook "x" denied the request: no`), want: []string{"denied the request: no"}},
		"Policy":    {kind: "Cluster", err: answer(403, "ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no"), want: []string{"denied request: no"}},
		"Quota":     {kind: "Secret", err: answer(403, "secrets is forbidden: exceeded quota: q"), want: []string{"refuses this Secret"}},
		"NoRight":   {kind: "Cluster", err: answer(403, `clusters is forbidden: User "x" cannot patch resource "clusters"`), reason: "that is about us"},
		"NoAnswer":  {kind: "Cluster", err: errors.New("connection refused")},
		"TryAgain":  {kind: "Cluster", err: answer(429, "too many requests")},
		"NotTheirs": {kind: "Cluster", err: answer(500, "etcd is away")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := refusal(fromYAML(t, "kind: "+tc.kind), tc.err)
			if (got == "") != (len(tc.want) == 0) || strings.Contains(got, "hush") {
				t.Errorf("%s: %q", tc.reason, got)
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q lacks %q; %s", got, want, tc.reason)
				}
			}
		})
	}
}
