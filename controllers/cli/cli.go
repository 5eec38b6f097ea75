// Package cli is the command line: one file a command, what it depends on passed in, output to the command's writers,
// and an exit code out. It decides nothing that the operator does not decide with the same functions.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/refract-dev/refract/controllers"
)

// Exit codes. Scripts rely on them.
const (
	errFindings = exitError(1) // validate, render: mistakes in the files; plan: changes; approve: nothing to approve
	errFailed   = exitError(2) // the command could not do its work
	errRefused  = exitError(3) // plan: refused, or held until approved; approve: not allowed to
)

// exitError is the exit code of a command that has said on its writers all there is to say.
type exitError int

// Error is for callers that print errors; Main does not print this one.
func (e exitError) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// program is what commands take from outside.
type program struct {
	run func(context.Context, *rest.Config, controllers.Options) error
	now func() time.Time
}

// Main runs one command and returns its exit code: 0 when all is well, else as `refract help` and docs/cli.md say. ctx
// ends it early. Results go to stdout, what went wrong with the command itself to stderr.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return program{run: controllers.Run, now: clock.RealClock{}.Now}.main(ctx, args, stdin, stdout, stderr)
}

func (p program) main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := p.root()
	root.SetArgs(append([]string{}, args...)) // nil would mean those of the process
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var code exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	_, _ = fmt.Fprintf(stderr, "refract: %v\n", err) // nobody is left to tell
	return int(errFailed)
}

func (p program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "refract",
		Short: "Keeps Kubernetes clusters on Nutanix the way Git says",
		Long: `Refract turns files in Git into Cluster API objects, within limits, and keeps them true.

The operator (refract manager) does so by itself. The other commands run the same code by hand: they read files, show
what they mean and what they would change, and let a person approve what is held. None of them but approve writes.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(newValidate(), newRender(), newPlan(), newDiff(), p.newApprove(), p.newTree(), p.newExplain(), p.newManager(), newVersion())
	return root
}

// onePath demands exactly one argument, a PATH.
func onePath(c *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return fmt.Errorf("want one PATH, the directory with the fleet's files, got %d arguments; see `%s --help`", len(args), c.CommandPath())
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("want no arguments, got %q; see `%s --help`", strings.Join(args, " "), c.CommandPath())
}

// oneOf demands that a flag has one of the given values.
func oneOf(flag, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("--%s is %q; use %s", flag, value, strings.Join(values, " or "))
}

// count is "1 cluster", "2 clusters".
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}
