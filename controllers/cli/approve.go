package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// approveFieldManager writes approvals.
const approveFieldManager = "refract-approve"

func (p program) newApprove() *cobra.Command {
	var (
		from   connection
		digest string
	)
	c := &cobra.Command{
		Use:   "approve (cluster/NAME | fleet/NAME) [DIGEST]",
		Short: "Let a held plan go on",
		Long: `Shows the plan that is held on a cluster or a Fleet and approves it under your own user name, by the annotations
refract.dev/approved-plan and refract.dev/approved-by. The API server demands the verb approve for that; ClusterRole
refract-approver has it.

DIGEST says which plan you mean: when another one is held by now, nothing is approved. Without it the one that is held
now is. Approving what a Fleet holds approves every plan in it; the removal of a cluster is approved on its Fleet. An
approval is spent when its plan is carried out, and void 7 days after the plan was first recorded.

Exit codes: 0 approved, 1 nothing to approve or another plan is held, 2 an error, 3 you may not approve.`,
		Example: `  refract approve cluster/edge-01 --namespace clusters
  refract approve fleet/production sha256:… --namespace clusters`,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := targetOf(args, digest)
			if err != nil {
				return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
			}
			config, namespace, err := from.open()
			if err != nil {
				return err
			}
			a := approval{target: t, namespace: namespace, now: p.now(), out: c.OutOrStdout(), errOut: c.ErrOrStderr()}
			if a.client, err = connect(config); err != nil {
				return err
			}
			return a.run(c.Context())
		},
	}
	from.bind(c.Flags())
	from.bindNamespace(c.Flags(), "namespace of the cluster or Fleet; default: that of the context")
	c.Flags().StringVar(&digest, "plan", "", "the same as DIGEST")
	return c
}

// target is what is approved.
type target struct {
	fleet        bool
	name, digest string
}

// targetOf reads "cluster/NAME [DIGEST]" and "cluster NAME [DIGEST]", with the kinds' other names as kubectl has them.
func targetOf(args []string, digest string) (target, error) {
	if len(args) > 0 {
		if kind, name, ok := strings.Cut(args[0], "/"); ok {
			args = append([]string{kind, name}, args[1:]...)
		}
	}
	if len(args) < 2 || len(args) > 3 || args[1] == "" {
		return target{}, fmt.Errorf("want cluster/NAME or fleet/NAME and at most one DIGEST, got %q", strings.Join(args, " "))
	}
	t := target{name: args[1], digest: digest}
	if len(args) == 3 {
		if digest != "" && digest != args[2] {
			return target{}, fmt.Errorf("two digests are given, %s and %s; name one", args[2], digest)
		}
		t.digest = args[2]
	}
	switch strings.ToLower(args[0]) {
	case "cluster", "clusters", "nutanixclusterspec", "nutanixclusterspecs", "ncs":
	case "fleet", "fleets", "fl":
		t.fleet = true
	default:
		return target{}, fmt.Errorf("%q is neither cluster nor fleet", args[0])
	}
	return t, nil
}

func (t target) String() string {
	if t.fleet {
		return "fleet/" + t.name
	}
	return "cluster/" + t.name
}

// approval is one run of approve.
type approval struct {
	target
	namespace   string
	now         time.Time
	client      client.Client
	out, errOut io.Writer
}

// held is a plan that waits for a person.
type held struct {
	v1alpha1.PlanStatus
	// cluster whose removal it is; empty: what the object itself holds.
	removes string
	// instead is the command that approves it, where this object is not the place.
	instead string
	// next says what happens after the approval.
	next string
}

func (a approval) run(ctx context.Context) error {
	object, plans, why, err := a.look(ctx)
	if err != nil {
		return err
	}
	h, ok := a.pick(plans)
	switch {
	case len(plans) == 0:
		return a.refuse(errFindings, "%s in namespace %s holds no plan: nothing to approve%s", a.target, a.namespace, because(why))
	case !ok:
		return a.refuse(errFindings, "%s in namespace %s holds plan %s (%s), not %s: nothing was approved; look at that plan, then approve it by its digest",
			a.target, a.namespace, plans[0].Digest, plans[0].Summary, a.digest)
	case h.instead != "":
		return a.refuse(errFindings, "this plan removes cluster %s, which is approved on its Fleet: run `%s`", a.name, h.instead)
	case h.RecordedAt != nil && plan.Expired(h.RecordedAt.Time, a.now):
		return a.refuse(errFindings, "plan %s was first recorded at %s, and approvals are void 7 days later: commit the change anew", h.Digest, h.RecordedAt.UTC().Format(time.RFC3339))
	}
	return a.approve(ctx, object, h)
}

func (a approval) approve(ctx context.Context, object client.Object, h held) error {
	if err := a.show(h); err != nil {
		return err
	}
	user, err := a.whoAmI(ctx)
	if err != nil {
		return err
	}
	if err = a.write(ctx, object, h.Digest, user); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "approved by %s\n%s\n", user, h.next)
	return err
}

func (a approval) refuse(code exitError, format string, args ...any) error {
	if _, err := fmt.Fprintf(a.errOut, "refract: "+format+"\n", args...); err != nil {
		return err
	}
	return code
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return "; its status says: " + why
}

// pick the plan that the digest names; without a digest the first.
func (a approval) pick(plans []held) (held, bool) {
	for _, h := range plans {
		if a.digest == h.Digest || a.digest == "" {
			return h, true
		}
	}
	return held{}, false
}

func (a approval) show(h held) error {
	recorded := ""
	if h.RecordedAt != nil {
		recorded = "\nrecorded  " + h.RecordedAt.UTC().Format(time.RFC3339)
	}
	what := a.String()
	if h.removes != "" {
		what += ", removal of cluster " + h.removes
	}
	_, err := fmt.Fprintf(a.out, "held      %s in namespace %s\nplan      %s\nseverity  %s\nchanges   %s%s\n", what, a.namespace, h.Digest, h.Severity, h.Summary, recorded)
	return err
}

// look reads the object and the plans that it holds; why says what its status says when it holds none.
func (a approval) look(ctx context.Context) (object client.Object, plans []held, why string, err error) {
	if a.fleet {
		return a.lookAtFleet(ctx)
	}
	return a.lookAtCluster(ctx)
}

func (a approval) lookAtCluster(ctx context.Context) (client.Object, []held, string, error) {
	c := &v1alpha1.NutanixClusterSpec{}
	err := a.client.Get(ctx, a.key(), c)
	if apierrors.IsNotFound(err) {
		return nil, nil, "", fmt.Errorf("namespace %s has no cluster %s; name another by --namespace (a cluster that was never accepted is approved on its Fleet)", a.namespace, a.name)
	}
	if err != nil {
		return nil, nil, "", fmt.Errorf("reading NutanixClusterSpec %s: %w", a.key(), err)
	}
	why := conditionMessage(c.Status.Conditions, v1alpha1.SourceAcceptedCondition)
	if c.Status.Plan.Digest == "" {
		return c, nil, why, nil
	}
	h := held{PlanStatus: c.Status.Plan, next: fmt.Sprintf(
		"Refract goes on with it now; see how by `kubectl get nutanixclusterspec %s -n %s --watch`.", a.name, a.namespace)}
	if removal(c) {
		h.instead = plan.ApproveCommand(a.namespace, c.Annotations[v1alpha1.FleetAnnotation], "", c.Status.Plan.Digest)
	}
	return c, []held{h}, why, nil
}

func (a approval) lookAtFleet(ctx context.Context) (client.Object, []held, string, error) {
	f := &v1alpha1.Fleet{}
	err := a.client.Get(ctx, a.key(), f)
	if apierrors.IsNotFound(err) {
		return nil, nil, "", fmt.Errorf("namespace %s has no Fleet %s; name another by --namespace", a.namespace, a.name)
	}
	if err != nil {
		return nil, nil, "", fmt.Errorf("reading Fleet %s: %w", a.key(), err)
	}
	next := fmt.Sprintf("Refract goes on with it now; see how by `kubectl get nutanixclusterspecs -n %s --watch`.", a.namespace)
	if f.Spec.Suspend {
		next = "The Fleet is suspended: nothing happens until its spec.suspend is false."
	}
	var plans []held
	if f.Status.Plan.Digest != "" {
		plans = append(plans, held{PlanStatus: f.Status.Plan, next: next})
	}
	clusters := &v1alpha1.NutanixClusterSpecList{}
	if err := a.client.List(ctx, clusters, client.InNamespace(a.namespace)); err != nil {
		return nil, nil, "", fmt.Errorf("listing NutanixClusterSpecs in namespace %s: %w", a.namespace, err)
	}
	for i := range clusters.Items {
		c := &clusters.Items[i]
		if c.Annotations[v1alpha1.FleetAnnotation] == f.Name && removal(c) {
			plans = append(plans, held{PlanStatus: c.Status.Plan, removes: c.Name, next: next})
		}
	}
	return f, plans, conditionMessage(f.Status.Conditions, v1alpha1.ReadyCondition), nil
}

func (a approval) key() client.ObjectKey {
	return client.ObjectKey{Namespace: a.namespace, Name: a.name}
}

// removal says whether the plan that a cluster holds is that its file is gone. Machines are no matter of these
// severities, and re-creating a cluster needs an approval whatever the limits. What is held for its review may be either:
// there the command tells that the Fleet is to be asked.
func removal(c *v1alpha1.NutanixClusterSpec) bool {
	accepted := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.SourceAcceptedCondition)
	if c.Status.Plan.Digest == "" || accepted == nil {
		return false
	}
	switch accepted.Reason {
	case v1alpha1.ReviewRequiredReason, v1alpha1.ReviewedPlanExceededReason:
		command := plan.ApproveCommand(c.Namespace, c.Annotations[v1alpha1.FleetAnnotation], "", c.Status.Plan.Digest)
		return strings.Contains(accepted.Message, command)
	case v1alpha1.LimitExceededReason:
	default:
		return false
	}
	return c.Status.Plan.Severity == v1alpha1.SeverityDestroy || c.Status.Plan.Severity == v1alpha1.SeverityMetadata
}

func conditionMessage(conditions []metav1.Condition, condition string) string {
	c := meta.FindStatusCondition(conditions, condition)
	if c == nil || c.Status == metav1.ConditionTrue {
		return ""
	}
	return c.Message
}

// whoAmI asks the API server for the user name that it knows us by.
func (a approval) whoAmI(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := a.client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking the API server who you are: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

func (a approval) write(ctx context.Context, o client.Object, digest, user string) error {
	annotations := map[string]string{v1alpha1.ApprovedPlanAnnotation: digest, v1alpha1.ApprovedByAnnotation: user}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.GetUID(), "annotations": annotations}})
	if err != nil {
		return err
	}
	err = a.client.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(approveFieldManager))
	if apierrors.IsForbidden(err) {
		return a.refuse(errRefused, "the API server refuses the approval: %v", err)
	}
	if err != nil {
		return fmt.Errorf("approving %s: %w", a.target, err)
	}
	return nil
}
