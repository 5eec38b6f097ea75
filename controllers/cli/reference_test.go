package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

const referenceFile = "../../docs/reference/cli.md"

// TestReference compares the reference with the commands as they are; with -update it writes the reference, which is
// how it is generated.
func TestReference(t *testing.T) {
	got := reference(program{}.root())
	if *update {
		write(t, got, referenceFile)
	}
	want, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the commands say (-have +want); run `make generate`:\n%s", referenceFile, diff)
	}
}

// reference describes a command and those below it, as Markdown.
func reference(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Command line reference\n\nGenerated from the commands; do not edit. [cli.md](../cli.md) tells how to use them.\n\n%s\n", root.Long)
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			describe(&b, c)
		}
	}
	return b.String()
}

func describe(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "\n## refract %s\n\n%s.\n\n    %s\n\n%s\n", c.Name(), c.Short, c.UseLine(), c.Long)
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	if flags := c.LocalNonPersistentFlags().FlagUsages(); flags != "" {
		fmt.Fprintf(b, "\n```\n%s```\n", flags)
	}
}
