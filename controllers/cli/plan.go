package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// planFlags of plan.
type planFlags struct {
	connection
	base, head, fleet, output string
	live, all, full           bool
}

const outputMarkdown = "markdown"

func newPlan() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan [PATH]",
		Short: "Show what the files of a fleet would change",
		Long: `Without a management cluster the plan is predicted from the files alone (PATH; default: the current directory). With
--base they are compared with another revision of the Git clone around PATH: what is changed there is planned, and nothing
else. Without it, it is as if nothing existed: everything is created. --head takes the files of a revision, too. In a
branch that is behind, compare with where it began: --base "$(git merge-base main HEAD)".

With --live, or any of --kubeconfig, --context and --fleet, the plan is exact, the one that the operator would make of these
files now: live objects are read, changes are tried as server-side dry runs with your own rights, and Cluster API's own
code says which machines would be re-created. Clusters are planned whose files are not what was accepted; with --all every
one, which shows as well what a new version of Refract or another hand changes. Then the limits decide, those of --fleet or
else the defaults. With --fleet, clusters of that Fleet whose files are not below PATH are planned as removed. With --base,
what that revision asks for already is marked as pending. Nothing is written. What is unfinished in the Fleet counts
towards its limits where you may list its Secrets; approvals are not looked at.

Beside the plan stands what the operator saw last in Prism Central: how much is free, virtual machines that differ,
findings of the last preflight, and what could not be read. It changes no exit code.

Exit codes: 0 no change, 1 changes, 2 mistakes in the files or an error, 3 refused or held until approved.`,
		Example: `  refract plan ./fleet
  refract plan ./fleet --base main --head HEAD
  refract plan ./fleet --fleet production --namespace clusters`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("output", f.output, outputText, outputJSON, outputMarkdown); err != nil {
				return err
			}
			if len(args) > 1 {
				return onePath(c, args)
			}
			return f.run(c, append(args, ".")[0])
		},
	}
	f.bind(c.Flags())
	f.bindNamespace(c.Flags(), "namespace of the clusters; default: what the files say, else that of the context")
	c.Flags().StringVar(&f.base, "base", "", "revision to compare with: a branch, tag, commit or HEAD~2")
	c.Flags().StringVar(&f.head, "head", "", "revision whose files are meant; default: the files as they lie in PATH")
	c.Flags().BoolVar(&f.live, "live", false, "compare with the management cluster")
	c.Flags().BoolVar(&f.all, "all", false, "plan every cluster, also those whose files are what was accepted")
	c.Flags().StringVar(&f.fleet, "fleet", "", "Fleet whose limits hold and whose clusters the files are compared with")
	c.Flags().BoolVar(&f.full, "full", false, "as text: fold nothing")
	c.Flags().StringVarP(&f.output, "output", "o", outputText, "text, json or markdown")
	return c
}

// exact says whether the management cluster is asked.
func (f planFlags) exact() bool {
	return f.live || f.kubeconfig != "" || f.context != "" || f.fleet != ""
}

func (f planFlags) run(c *cobra.Command, path string) error {
	head, err := declaredAt(c.Context(), path, f.head, f.namespace)
	if err != nil {
		return err
	}
	base, err := f.compareWith(c.Context(), path)
	if err != nil {
		return err
	}
	if head.empty() && (base == nil || (declared{Fleet: *base}).empty()) {
		return head.nothing()
	}
	s := flow.Scene{Namespace: f.namespace, All: f.all}
	if f.exact() {
		if s, err = f.scene(c.Context(), head); err != nil {
			return err
		}
	}
	r, err := flow.Review(c.Context(), &head.Fleet, base, s)
	if err != nil {
		return err
	}
	r.Base, r.Head = f.base, f.head
	return f.report(c, r)
}

// compareWith is what --base declares; nil without it.
func (f planFlags) compareWith(ctx context.Context, path string) (*fleet.Fleet, error) {
	if f.base == "" {
		return nil, nil
	}
	d, err := declaredAt(ctx, path, f.base, f.namespace)
	if err != nil {
		return nil, err
	}
	return &d.Fleet, nil
}

func (f planFlags) report(c *cobra.Command, r view.Report) error {
	var err error
	switch out := c.OutOrStdout(); f.output {
	case outputJSON:
		err = view.WriteJSON(out, r)
	case outputMarkdown:
		err = view.WriteMarkdown(out, r, view.MarkdownOptions{})
	default:
		err = view.WriteText(out, r, view.TextOptions{Color: colored(out), Full: f.full})
	}
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	if f.output != outputText {
		for _, m := range r.Mistakes {
			if _, err := fmt.Fprintln(c.ErrOrStderr(), m); err != nil {
				return err
			}
		}
	}
	return codeOf(r)
}

// colored says whether a person looks at a terminal that shows colours.
func colored(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// codeOf is what a report means to a script: nil when nothing changes.
func codeOf(r view.Report) error {
	held := func(c view.ClusterReport) bool {
		return c.Decision != nil && !c.Decision.Accepted || plan.Rank(c.Plan.Severity()) >= plan.Rank(v1alpha1.SeverityForbidden)
	}
	switch {
	case len(r.Mistakes) > 0:
		return errFailed
	case slices.ContainsFunc(r.Clusters, held):
		return errRefused
	case slices.ContainsFunc(r.Clusters, func(c view.ClusterReport) bool { return !c.Plan.Empty() }):
		return errFindings
	}
	return nil
}
