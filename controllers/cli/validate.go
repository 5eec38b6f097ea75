package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refract-dev/refract/render/build"
)

func newValidate() *cobra.Command {
	var namespace string
	c := &cobra.Command{
		Use:   "validate PATH",
		Short: "Find every mistake in the files of a fleet",
		Long: `Reads the files below PATH as the operator does, renders every cluster, and prints each mistake as
"path:line: message", sorted. Paths are relative to the root of the Git repository around PATH; outside of a repository
to PATH. Nothing is asked of any server.

Exit codes: 0 no mistake, 1 mistakes, 2 PATH could not be read.`,
		Example: `  refract validate ./fleet`,
		Args:    onePath,
		RunE: func(c *cobra.Command, args []string) error {
			d, err := readFleet(args[0], namespace)
			if err != nil {
				return err
			}
			return d.validate(c.OutOrStdout())
		},
	}
	c.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace that the files must be for; default: what they say")
	return c
}

// validate prints mistakes and a summary.
func (d declared) validate(out io.Writer) error {
	if d.empty() {
		if _, err := fmt.Fprintln(out, d.nothing()); err != nil {
			return err
		}
		return errFindings
	}
	mistakes := d.mistakes()
	if err := writeMistakes(out, mistakes); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, d.summary(mistakes)); err != nil {
		return err
	}
	if len(mistakes) > 0 {
		return errFindings
	}
	return nil
}

// mistakes in the files, and those that only rendering shows.
func (d declared) mistakes() []*build.Error {
	all := append([]*build.Error{}, d.Errors...)
	for _, c := range d.Clusters {
		if c.Err != nil {
			continue
		}
		_, more := d.render(c)
		all = append(all, more...)
	}
	return build.Sort(all)
}

func (d declared) summary(mistakes []*build.Error) string {
	parts := []string{
		count(len(d.Clusters), "cluster"), count(len(d.Profiles), "profile version"), count(len(d.Accounts), "account"),
	}
	text := strings.Join(parts, ", ")
	if len(d.Ignored) > 0 {
		text += fmt.Sprintf(", beside %s of other API groups (%s)", count(len(d.Ignored), "document"), shorten(d.Ignored))
	}
	if len(mistakes) == 0 {
		return text + ": no mistake"
	}
	return text + ": " + count(len(mistakes), "mistake")
}

// shorten lists the first few.
func shorten(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
