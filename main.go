// Refract keeps Kubernetes clusters on Nutanix the way Git says.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/refract-dev/refract/controllers/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // where it begins
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
