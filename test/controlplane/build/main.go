// Command build makes the programs of the test world ready and prints where they are and how long each took. With
// arguments it builds only the programs named.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/refract-dev/refract/test/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the program's root
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, out io.Writer) error {
	if len(names) == 0 {
		names = controlplane.All()
	}
	builder, err := controlplane.New(ctx, out)
	if err != nil {
		return err
	}
	built, err := builder.Build(ctx, names...)
	if err != nil {
		return err
	}
	for _, b := range built {
		took := "ready"
		if b.Took > 0 {
			took = b.Took.String()
		}
		_, _ = fmt.Fprintf(out, "%-28s %-8s %s\n", b.Name, took, b.Path)
	}
	_, err = builder.Providers(ctx)
	return err
}
