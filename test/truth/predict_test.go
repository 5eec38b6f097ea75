package truth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/site"
)

// prediction is what a plan says of one cluster.
type prediction struct {
	// refused says why nothing is to happen; empty: it goes on.
	refused string
	// machines by control plane or pool.
	machines map[string]count
	report   view.Report
}

func (p prediction) total() count {
	if p.refused != "" {
		return count{}
	}
	return total(p.machines)
}

// predicted reads a report about the one cluster.
func predicted(report view.Report) prediction {
	p := prediction{machines: map[string]count{}, report: report}
	for _, m := range report.Mistakes {
		p.refused = m.Message
	}
	for _, c := range report.Clusters {
		if c.Decision != nil && !c.Decision.Accepted {
			p.refused = c.Decision.Reason + ": " + c.Decision.Message
		}
		if !c.Plan.Approvable() {
			p.refused = "the plan is forbidden"
		}
		for _, change := range c.Plan.Changes {
			n := p.machines[change.Owner]
			switch change.Severity {
			case v1alpha1.SeverityRollout:
				n.recreated, n.upTo = max(n.recreated, change.Machines), n.upTo || change.UpTo
			case v1alpha1.SeverityRemove, v1alpha1.SeverityDestroy:
				n.removed, n.upTo = max(n.removed, change.Machines), n.upTo || change.UpTo
			default:
				continue
			}
			p.machines[change.Owner] = n
		}
	}
	if p.refused != "" {
		p.machines = map[string]count{}
	}
	maps.DeleteFunc(p.machines, func(_ string, c count) bool { return c.recreated+c.removed == 0 })
	return p
}

// offline plans from the files alone.
func (s *stage) offline(t *testing.T, base, head fleet.Fleet) prediction {
	t.Helper()
	report, err := flow.Review(t.Context(), &head, &base, flow.Scene{Namespace: s.Namespace, Fleet: s.Fleet(fleetName)})
	if err != nil {
		t.Fatal(err)
	}
	return predicted(report)
}

// exact plans against what is live, and sums what is needed of Prism Central where there is a sight of it.
func (s *stage) exact(ctx context.Context, base, head fleet.Fleet, seen *sight) (prediction, error) {
	scene := flow.Scene{
		Namespace: s.Namespace, Mirrors: map[string]*v1alpha1.NutanixClusterSpec{}, Fleet: &v1alpha1.Fleet{},
		Gather: func(c *v1alpha1.NutanixClusterSpec) flow.Gatherer { return s.cluster(c) },
		Try:    s.try, All: seen == nil,
	}
	if seen != nil {
		scene.Sites = func(string) (*site.Inventory, string) { return seen.inventory, "" }
		scene.Owned = func(string) map[string]bool { return seen.owned }
	}
	clusters, profiles, accounts := &v1alpha1.NutanixClusterSpecList{}, &v1alpha1.ClusterProfileList{}, &v1alpha1.CloudAccountList{}
	for _, list := range []client.ObjectList{clusters, profiles, accounts} {
		if err := s.Client.List(ctx, list, client.InNamespace(s.Namespace)); err != nil {
			return prediction{}, err
		}
	}
	for i := range clusters.Items {
		scene.Mirrors[clusters.Items[i].Name] = &clusters.Items[i]
	}
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: fleetName}, scene.Fleet); err != nil {
		return prediction{}, err
	}
	scene.Mirrored = flow.Mirrored{Namespace: s.Namespace, Clusters: clusters.Items, Accounts: accounts.Items, Profiles: profiles.Items}
	report, err := flow.Review(ctx, &head, &base, scene)
	if err != nil {
		return prediction{}, err
	}
	return predicted(report), nil
}

func (s *stage) cluster(c *v1alpha1.NutanixClusterSpec) kube.Cluster {
	return kube.Cluster{
		Client: s.Client, Reader: s.Client, Namespace: s.Namespace, Name: s.name, Ignore: c.Spec.DriftIgnore, Adopt: c.Spec.Adopt,
	}
}

// try has the API server judge the mirror, as the Fleet controller does.
func (s *stage) try(ctx context.Context, c, mirror *v1alpha1.NutanixClusterSpec) error {
	if mirror == nil {
		return nil
	}
	trial := mirror.DeepCopy()
	trial.Spec = *c.Spec.DeepCopy()
	err := s.Client.Update(ctx, trial, client.DryRunAll)
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// differences between what a plan said and what came.
func (p prediction) differences(how string, actual outcome) []string {
	if (p.refused != "") != (actual.refused != "") {
		return []string{fmt.Sprintf("%s: refused %q, and the Fleet says %q", how, p.refused, actual.refused)}
	}
	var out []string
	owners := maps.Clone(p.machines)
	maps.Copy(owners, actual.machines)
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		want, have := p.machines[owner], actual.machines[owner]
		if want.upTo && (have.recreated > 0) == (want.recreated > 0) && have.recreated <= want.recreated && have.removed <= want.removed {
			continue
		}
		if want != have {
			out = append(out, fmt.Sprintf("%s: of %s are re-created and removed %s, and it came to %s", how, owner, want, have))
		}
	}
	return out
}

// says lists the changes of a plan, for whoever looks into a difference.
func (p prediction) says() string {
	text := ""
	for _, c := range p.report.Clusters {
		for _, change := range c.Plan.Changes {
			text += fmt.Sprintf("\n  %s %s: %q → %q: %s %d (%s) %s", change.Object, change.Field, change.From, change.To, change.Severity, change.Machines, change.Owner, change.Reason)
		}
	}
	return text
}
