package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// planFlags of plan.
type planFlags struct {
	connection
	live   bool
	fleet  string
	output string
}

func newPlan() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan PATH",
		Short: "Show what the files of a fleet would change",
		Long: `Without a management cluster the plan is predicted from the files alone, as if nothing existed: everything is created.

With --live, or any of --kubeconfig, --context and --fleet, it is the plan that the operator would make of these files
now: live objects are read, changes are tried as server-side dry runs with your own rights, and Cluster API's own code
says which machines would be re-created. Then the limits decide, those of --fleet or else the defaults. With --fleet,
clusters of that Fleet whose files are not below PATH are planned as removed. Nothing is written. What is unfinished or
approved in the Fleet is not counted. Below the plan stands what the operator saw last in Prism Central of these clusters:
virtual machines that differ, findings of the last preflight, and what could not be read. It changes no exit code.

Exit codes: 0 no change, 1 changes, 2 mistakes in the files or an error, 3 refused or held until approved.`,
		Example: `  refract plan ./fleet
  refract plan ./fleet --fleet production --namespace clusters`,
		Args: onePath,
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("output", f.output, outputText, outputJSON); err != nil {
				return err
			}
			return f.run(c, args[0])
		},
	}
	f.bind(c.Flags())
	f.bindNamespace(c.Flags(), "namespace of the clusters; default: what the files say, else that of the context")
	c.Flags().BoolVar(&f.live, "live", false, "compare with the management cluster")
	c.Flags().StringVar(&f.fleet, "fleet", "", "Fleet whose limits hold and whose clusters the files are compared with")
	c.Flags().StringVarP(&f.output, "output", "o", outputText, "text or json")
	return c
}

func (f planFlags) run(c *cobra.Command, path string) error {
	d, err := readFleet(path, f.namespace)
	if err != nil {
		return err
	}
	if d.empty() {
		return d.nothing()
	}
	var p proposed
	if f.live || f.kubeconfig != "" || f.context != "" || f.fleet != "" {
		p, err = f.proposeLive(c.Context(), d)
	} else {
		p = proposeOffline(c.Context(), d)
	}
	if err != nil {
		return err
	}
	p.mistakes = build.Sort(append(p.mistakes, d.Errors...))
	return p.report(c, f.output)
}

// proposed is what the files would change.
type proposed struct {
	// plans by cluster name, in that order.
	plans []plan.Plan
	// decisions of the gate by cluster name; none when it was not asked.
	decisions map[string]plan.Decision
	// kept clusters whose files are gone, by name, with why they stay.
	kept map[string]string
	// prism is what is known in Prism Central of planned clusters, by name.
	prism []onPrism
	// mistakes in the files.
	mistakes []*build.Error
	// live: the management cluster was asked.
	live bool
}

// proposeOffline predicts from the files alone.
func proposeOffline(ctx context.Context, d declared) proposed {
	var p proposed
	for _, c := range d.Clusters {
		if c.Err != nil {
			continue
		}
		one, err := flow.Propose(ctx, d.inputs(c), nil, "", plan.Options{})
		if err != nil {
			p.mistakes = append(p.mistakes, placed(c, err)...)
			continue
		}
		// Nothing was asked, so all of it is a prediction.
		one.Plan.Predicted = true
		p.plans = append(p.plans, one.Plan)
	}
	return p
}

func (p proposed) report(c *cobra.Command, output string) error {
	write := p.writeText
	if output == outputJSON {
		write = p.writeJSON
	}
	if err := write(c.OutOrStdout()); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	if len(p.mistakes) > 0 {
		if err := writeMistakes(c.ErrOrStderr(), p.mistakes); err != nil {
			return err
		}
		return errFailed
	}
	return p.code()
}

// code is what the plans mean to a script: nil when nothing changes.
func (p proposed) code() error {
	for _, d := range p.decisions {
		if !d.Accepted {
			return errRefused
		}
	}
	if p.changes() {
		return errFindings
	}
	return nil
}

func (p proposed) changes() bool {
	return slices.ContainsFunc(p.plans, func(p plan.Plan) bool { return !p.Empty() })
}

func (p proposed) writeText(w io.Writer) error {
	// What is wrong may be all that changes: then nothing is said about changes.
	if p.changes() || len(p.mistakes) == 0 {
		if err := view.Text(w, p.plans...); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.decisions)) {
		if d := p.decisions[name]; !d.Accepted {
			if _, err := fmt.Fprintf(w, "\nheld: %s (%s): %s\n", name, d.Reason, d.Message); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.kept)) {
		if _, err := fmt.Fprintf(w, "\nkept: %s: %s\n", name, p.kept[name]); err != nil {
			return err
		}
	}
	return writeOnPrism(w, p.prism)
}

// planDocument is view.Document with what only a command knows. Within its version fields are only added.
type planDocument struct {
	view.Document
	// Live: the management cluster was asked.
	Live bool `json:"live"`
	// Held clusters, by name.
	Held []heldCluster `json:"held"`
	// Kept clusters whose files are gone.
	Kept []keptCluster `json:"kept"`
	// PrismCentral is what the operator saw last there of the planned clusters; only those with something to say.
	PrismCentral []onPrism `json:"prismCentral"`
	// Mistakes in the files, "path:line: message".
	Mistakes []string `json:"mistakes"`
}

type heldCluster struct {
	Cluster string `json:"cluster"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Digest  string `json:"digest,omitempty"`
}

type keptCluster struct {
	Cluster string `json:"cluster"`
	Message string `json:"message"`
}

func (p proposed) writeJSON(w io.Writer) error {
	doc := planDocument{
		Document: view.NewDocument(p.plans...), Live: p.live,
		Held: []heldCluster{}, Kept: []keptCluster{}, PrismCentral: []onPrism{}, Mistakes: []string{},
	}
	doc.PrismCentral = append(doc.PrismCentral, p.prism...)
	for _, name := range slices.Sorted(maps.Keys(p.decisions)) {
		if d := p.decisions[name]; !d.Accepted {
			doc.Held = append(doc.Held, heldCluster{Cluster: name, Reason: d.Reason, Message: d.Message, Digest: d.Digest})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.kept)) {
		doc.Kept = append(doc.Kept, keptCluster{Cluster: name, Message: p.kept[name]})
	}
	for _, m := range p.mistakes {
		doc.Mistakes = append(doc.Mistakes, m.Error())
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
