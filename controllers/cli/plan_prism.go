package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// onPrism is what the operator found in Prism Central about one cluster that is planned. It is read from the status, so
// it is about what was accepted before, not about the files.
type onPrism struct {
	Cluster string `json:"cluster"`
	// Machines that differ from what was accepted, as of the last inventory.
	Machines []machineDiffers `json:"machines"`
	// Preflight findings of the last plan that made machines, and the outcome as a whole; nil when there was none.
	Preflight *lastPreflight `json:"preflight,omitempty"`
	// Unknown parts of Prism Central, which could not be read: nothing follows from what is not listed about them.
	Unknown []v1alpha1.UnknownPart `json:"unknown"`
}

type machineDiffers struct {
	VM     string    `json:"vm"`
	Field  string    `json:"field,omitempty"`
	Wanted string    `json:"wanted,omitempty"`
	Found  string    `json:"found,omitempty"`
	Since  time.Time `json:"since"`
}

type lastPreflight struct {
	// Passed is the status of PreflightPassed: True, False or Unknown, with its reason and since when.
	Passed   string                      `json:"passed"`
	Reason   string                      `json:"reason"`
	Since    time.Time                   `json:"since"`
	Findings []v1alpha1.PreflightFinding `json:"findings"`
}

// virtualMachine begins the object of a finding about a VM in a status.
const virtualMachine = "VM "

// onPrism tells what is known in Prism Central of the planned clusters, in the order of the plans. Clusters of which
// there is nothing to say are left out.
func (s *scene) onPrism(plans []plan.Plan) []onPrism {
	unknown := map[string][]v1alpha1.UnknownPart{}
	for _, a := range s.mirrored.Accounts {
		unknown[a.Name] = a.Status.Unknown
	}
	var all []onPrism
	for _, p := range plans {
		mirror := s.mirrors[p.Cluster]
		if mirror == nil {
			continue
		}
		one := onPrism{Cluster: p.Cluster, Machines: []machineDiffers{}, Preflight: preflightOf(mirror), Unknown: []v1alpha1.UnknownPart{}}
		one.Unknown = append(one.Unknown, unknown[mirror.Spec.AccountRef.Name]...)
		for _, f := range mirror.Status.Drift {
			if vm, ok := strings.CutPrefix(f.Object, virtualMachine); ok {
				one.Machines = append(one.Machines, machineDiffers{VM: vm, Field: f.Field, Wanted: f.Wanted, Found: f.Found, Since: f.Since.UTC()})
			}
		}
		if len(one.Machines)+len(one.Unknown) > 0 || one.Preflight != nil {
			all = append(all, one)
		}
	}
	return all
}

// preflightOf is the last preflight of a cluster that found something; nil otherwise.
func preflightOf(c *v1alpha1.NutanixClusterSpec) *lastPreflight {
	said := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.PreflightPassedCondition)
	if said == nil || len(c.Status.Preflight) == 0 {
		return nil
	}
	return &lastPreflight{Passed: string(said.Status), Reason: said.Reason, Since: said.LastTransitionTime.UTC(), Findings: c.Status.Preflight}
}

// writeOnPrism writes what a person reads below a plan.
func writeOnPrism(w io.Writer, all []onPrism) error {
	var b strings.Builder
	for _, o := range all {
		o.text(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (o onPrism) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s in Prism Central, as the operator saw it last:\n", o.Cluster)
	for _, m := range o.Machines {
		what := strings.TrimSpace(m.VM + " " + m.Field)
		fmt.Fprintf(b, "  VM %s: is %s, should be %s (since %s)\n", what, orNothing(m.Found), orNothing(m.Wanted), m.Since.Format(time.RFC3339))
	}
	if p := o.Preflight; p != nil {
		fmt.Fprintf(b, "  last preflight: %s (since %s)\n", p.Reason, p.Since.Format(time.RFC3339))
		for _, f := range p.Findings {
			fmt.Fprintf(b, "    %s %s %s: %s\n", f.Check, f.Verdict, f.Field, f.Message)
		}
	}
	for _, u := range o.Unknown {
		fmt.Fprintf(b, "  not known: %s: %s\n", u.Part, u.Reason)
	}
}

func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}
