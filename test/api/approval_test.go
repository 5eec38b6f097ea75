package api

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

const (
	digest = "sha256:0123"
	other  = "sha256:4567"
)

// TestApproval asks the API server, as several people, to write approvals.
func TestApproval(t *testing.T) {
	grant(t, "editor", "refract-editor")
	grant(t, "approver", "refract-approver")
	grant(t, "edge-approver", "refract-editor")
	grantOne(t, "edge-approver", "nutanixclusterspecs", "edge-01")

	const (
		mayNot = "may not approve: ask for the verb approve on"
		sign   = "set it to your own user name, as 'refract approve' does"
	)
	plan, by := v1alpha1.ApprovedPlanAnnotation, v1alpha1.ApprovedByAnnotation
	approval := func(plans, who string) map[string]any { return map[string]any{plan: plans, by: who} }
	cases := map[string]struct {
		reason string
		kind   string         // default NutanixClusterSpec
		name   string         // default edge-01
		before map[string]any // annotations that are there
		user   string
		write  map[string]any // nil values remove
		refuse string
	}{
		"EditorHasNoVerb":       {reason: "writing specs is not approving", user: "editor", write: approval(digest, "editor"), refuse: mayNot},
		"EditorForAnother":      {reason: "nor in another's name", user: "editor", write: approval(digest, "approver"), refuse: mayNot},
		"EditorWritesPlanAlone": {reason: "half an approval is an approval", user: "editor", before: approval(digest, "approver"), write: map[string]any{plan: other}, refuse: mayNot},
		"EditorWritesNameAlone": {reason: "the name is part of it", user: "editor", before: map[string]any{plan: digest}, write: map[string]any{by: "editor"}, refuse: mayNot},
		"EditorWritesElse":      {reason: "other annotations are free", user: "editor", before: approval(digest, "approver"), write: map[string]any{"note": "x"}},
		"EditorTakesBack":       {reason: "taking an approval back is free", user: "editor", before: approval(digest, "approver"), write: map[string]any{plan: nil, by: nil}},
		"Approver":              {reason: "the verb and the own name", user: "approver", write: approval(digest, "approver")},
		"ApproverAgain":         {reason: "the next plan", user: "approver", before: approval(digest, "approver"), write: approval(other, "approver")},
		"ApproverForAnother":    {reason: "nobody signs for another", user: "approver", write: approval(digest, "editor"), refuse: sign},
		"ApproverWithoutName":   {reason: "nobody approves unnamed", user: "approver", write: map[string]any{plan: digest}, refuse: "refract.dev/approved-by is missing"},
		"ApproverKeepsOther":    {reason: "another's name does not cover a new plan", user: "approver", before: approval(digest, "boss"), write: map[string]any{plan: other}, refuse: sign},
		"ApproverOfFleet":       {reason: "fleets are approved likewise", kind: "Fleet", name: "production", user: "approver", write: approval(digest, "approver")},
		"EditorOfFleet":         {reason: "fleets are guarded likewise", kind: "Fleet", name: "production", user: "editor", write: approval(digest, "editor"), refuse: mayNot},
		"VerbForThisObject":     {reason: "resourceNames narrow the verb", user: "edge-approver", write: approval(digest, "edge-approver")},
		"VerbForAnotherObject":  {reason: "the verb counts on that very object", name: "edge-02", user: "edge-approver", write: approval(digest, "edge-approver"), refuse: mayNot},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			kind, object := "NutanixClusterSpec", "edge-01"
			if c.kind != "" {
				kind = c.kind
			}
			if c.name != "" {
				object = c.name
			}
			o := sample(t, kind)
			o.SetName(object)
			if err := admin.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			remove(t, o)
			seed(t, o, c.before)
			judge(t, c.reason, annotate(t.Context(), as(t, c.user), o, c.write), c.refuse)
		})
	}
}

// TestApprovalOnCreate shows that an object cannot be born approved.
func TestApprovalOnCreate(t *testing.T) {
	grant(t, "editor", "refract-editor")
	o := sample(t, "NutanixClusterSpec", fields{
		"metadata/annotations": fields{v1alpha1.ApprovedPlanAnnotation: digest, v1alpha1.ApprovedByAnnotation: "editor"},
	})
	judge(t, "a create is a write, too", as(t, "editor").Create(t.Context(), o, client.DryRunAll), "may not approve")
}

// TestApprovalThroughStatus shows that the status subresource is no way round.
func TestApprovalThroughStatus(t *testing.T) {
	o := sample(t, "NutanixClusterSpec")
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	remove(t, o)
	o.SetAnnotations(map[string]string{v1alpha1.ApprovedPlanAnnotation: digest})
	if err := admin.Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	if got := o.GetAnnotations()[v1alpha1.ApprovedPlanAnnotation]; got != "" {
		t.Errorf("the status subresource wrote approval %q", got)
	}
}

// TestApproverWritesNoSpec shows that the right to patch, which approving takes, reaches no further than annotations.
func TestApproverWritesNoSpec(t *testing.T) {
	const mayNot = "may approve and not edit"
	for user, role := range map[string]string{"approver": "refract-approver", "editor": "refract-editor", "boss": "refract-admin"} {
		grant(t, user, role)
	}
	cases := map[string]struct {
		reason, kind, user, patch string
		dryRun                    bool
		refuse                    string
	}{
		"Fleet":         {reason: "another repository", kind: "Fleet", user: "approver", patch: `{"spec":{"git":{"url":"https://git.example.com/other.git"}}}`, refuse: mayNot},
		"Cluster":       {reason: "another cluster", kind: "NutanixClusterSpec", user: "approver", patch: `{"spec":{"suspend":true}}`, refuse: mayNot},
		"WithApproval":  {reason: "an approval is no ticket", kind: "Fleet", user: "approver", patch: `{"metadata":{"annotations":{"refract.dev/approved-plan":"` + digest + `","refract.dev/approved-by":"approver"}},"spec":{"suspend":true}}`, refuse: mayNot},
		"Note":          {reason: "annotations stay free", kind: "Fleet", user: "approver", patch: `{"metadata":{"annotations":{"note":"x"}}}`},
		"SameSpec":      {reason: "nothing is changed", kind: "NutanixClusterSpec", user: "approver", patch: `{"spec":{}}`},
		"DryRun":        {reason: "a plan by hand tries", kind: "Fleet", user: "approver", patch: `{"spec":{"suspend":true}}`, dryRun: true},
		"Editor":        {reason: "who may update writes specs", kind: "Fleet", user: "editor", patch: `{"spec":{"suspend":true}}`},
		"AdminApproves": {reason: "and who may do both does both", kind: "Fleet", user: "boss", patch: `{"spec":{"suspend":true}}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := sample(t, c.kind)
			if err := admin.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			remove(t, o)
			var options []client.PatchOption
			if c.dryRun {
				options = append(options, client.DryRunAll)
			}
			judge(t, c.reason, as(t, c.user).Patch(t.Context(), o, client.RawPatch(types.MergePatchType, []byte(c.patch)), options...), c.refuse)
		})
	}
}

func judge(t *testing.T, reason string, err error, refuse string) {
	t.Helper()
	switch {
	case refuse == "" && err != nil:
		t.Errorf("%s: refused: %v", reason, err)
	case refuse != "" && err == nil:
		t.Errorf("%s: accepted, want %q", reason, refuse)
	case refuse != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), refuse)):
		t.Errorf("%s: want Forbidden with %q, got: %v", reason, refuse, err)
	}
}

// seed writes annotations as somebody who passes the policy: each name is written by a user of that name.
func seed(t *testing.T, o *unstructured.Unstructured, annotations map[string]any) {
	t.Helper()
	if len(annotations) == 0 {
		return
	}
	who, named := annotations[v1alpha1.ApprovedByAnnotation].(string)
	if !named {
		// A plan without a name is what is left when somebody takes only the name back.
		who = "approver"
		full := map[string]any{v1alpha1.ApprovedByAnnotation: who}
		maps.Copy(full, annotations)
		seed(t, o, full)
		annotations = map[string]any{v1alpha1.ApprovedByAnnotation: nil}
	}
	grant(t, who, "refract-approver")
	if err := annotate(t.Context(), as(t, who), o, annotations); err != nil {
		t.Fatal(err)
	}
}

func annotate(ctx context.Context, c client.Client, o *unstructured.Unstructured, annotations map[string]any) error {
	patch := &unstructured.Unstructured{}
	patch.SetGroupVersionKind(o.GroupVersionKind())
	patch.SetName(o.GetName())
	patch.SetNamespace(o.GetNamespace())
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	return c.Patch(ctx, patch, client.RawPatch(types.MergePatchType, text))
}

// grant binds a ClusterRole of config/rbac in namespace default and waits until the authorizer knows.
func grant(t *testing.T, user, role string) {
	t.Helper()
	bind(t, user, role, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role})
	allowed(t, user)
}

// grantOne gives the verb approve on one object.
func grantOne(t *testing.T, user, resource, name string) {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "approve-" + name, Namespace: "default"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"refract.dev"}, Resources: []string{resource}, ResourceNames: []string{name},
			Verbs: []string{v1alpha1.ApproveVerb},
		}},
	}
	if err := admin.Create(t.Context(), role); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	bind(t, user, role.Name, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name})
}

func bind(t *testing.T, user, name string, ref rbacv1.RoleRef) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user + "-" + name, Namespace: "default"},
		RoleRef:    ref,
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	if err := admin.Create(t.Context(), binding); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
}

// allowed waits until the authorizer lets the user read clusters; its cache follows the binding.
func allowed(t *testing.T, user string) {
	t.Helper()
	c := as(t, user)
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("NutanixClusterSpecList"))
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		err := c.List(ctx, list, client.InNamespace("default"))
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		t.Fatalf("user %s: %v", user, err)
	}
}
