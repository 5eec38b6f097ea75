package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// Forms of output.
const (
	outputYAML = "yaml"
	outputJSON = "json"
	outputText = "text"
)

// renderFlags of render.
type renderFlags struct{ cluster, namespace, output string }

func newRender() *cobra.Command {
	var f renderFlags
	c := &cobra.Command{
		Use:   "render PATH",
		Short: "Print the Cluster API objects that a fleet's files mean",
		Long: `Prints the objects of every cluster below PATH, or of one, in the order in which they are applied, as they would be
created. In a living cluster a template whose content did not change keeps the name that it has. The data of Secrets is
hidden.

Mistakes go to the error output; clusters without one are printed all the same.

Exit codes: 0 no mistake, 1 mistakes, 2 PATH could not be read or has no such cluster.`,
		Example: `  refract render ./fleet --cluster edge-01`,
		Args:    onePath,
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("output", f.output, outputYAML, outputJSON); err != nil {
				return err
			}
			d, err := readFleet(args[0], f.namespace)
			if err != nil {
				return err
			}
			return f.run(c, d)
		},
	}
	c.Flags().StringVar(&f.cluster, "cluster", "", "print this cluster only")
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the objects; default: what the files say, else default")
	c.Flags().StringVarP(&f.output, "output", "o", outputYAML, "yaml or json")
	return c
}

func (f renderFlags) run(c *cobra.Command, d declared) error {
	clusters, mistakes := d.Clusters, d.Errors
	if f.cluster != "" {
		one, ok := d.find(f.cluster)
		if !ok {
			if err := writeMistakes(c.ErrOrStderr(), d.Errors); err != nil {
				return err
			}
			return fmt.Errorf("PATH %s has no cluster %s; %s", d.path, f.cluster, d.names())
		}
		clusters, mistakes = []fleet.Cluster{one}, build.Flatten(one.Place.Path, one.Err)
	} else if d.empty() {
		return d.nothing()
	}
	var all []rendered
	for _, one := range clusters {
		if one.Err != nil {
			continue
		}
		r, more := d.render(one)
		mistakes = append(mistakes, more...)
		all = append(all, r)
	}
	write := writeYAML
	if f.output == outputJSON {
		write = writeJSON
	}
	if err := write(c.OutOrStdout(), all); err != nil {
		return fmt.Errorf("writing objects: %w", err)
	}
	if len(mistakes) == 0 {
		return nil
	}
	if err := writeMistakes(c.ErrOrStderr(), build.Sort(mistakes)); err != nil {
		return err
	}
	return errFindings
}

// writeYAML writes one document an object, each under a line that says where it comes from.
func writeYAML(w io.Writer, clusters []rendered) error {
	var b bytes.Buffer
	for _, r := range clusters {
		for _, o := range r.objects {
			data, err := yaml.Marshal(hideSecret(o).Object)
			if err != nil {
				return err
			}
			b.WriteString("---\n")
			if origin := r.unit.Origin(o); origin != "" {
				b.WriteString("# " + origin + "\n")
			}
			b.Write(data)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeJSON writes one list, as kubectl does.
func writeJSON(w io.Writer, clusters []rendered) error {
	items := []any{}
	for _, r := range clusters {
		for _, o := range r.objects {
			items = append(items, hideSecret(o).Object)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

// hideSecret replaces the data of a Secret by its size: what is printed ends up in logs.
func hideSecret(o *unstructured.Unstructured) *unstructured.Unstructured {
	if o.GetKind() != "Secret" {
		return o
	}
	hidden := o.DeepCopy()
	for _, field := range []string{"data", "stringData"} {
		values, ok := hidden.Object[field].(map[string]any)
		if !ok {
			continue
		}
		for key, value := range values {
			text := fmt.Sprintf("hidden: %d bytes", size(field, value))
			if field == "data" {
				text = base64.StdEncoding.EncodeToString([]byte(text))
			}
			values[key] = text
		}
	}
	return hidden
}

func size(field string, value any) int {
	text, _ := value.(string)
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil && field == "data" {
		return len(decoded)
	}
	return len(text)
}
