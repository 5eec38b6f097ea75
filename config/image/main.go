// Command image builds Refract's container image without a container engine: an OCI image layout for several platforms,
// from an empty base, with a software bill of materials for each. The same commit and the same Go give the same digest.
//
// It is a module of its own, so that what it needs to speak to registries is no part of the operator.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const usage = `usage:
  image build [--source DIR] [--out DIR] [--version VERSION] [--platforms LIST]
  image push [--layout DIR] REGISTRY/REPOSITORY[:TAG]`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // where it begins
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "build":
			return runBuild(ctx, args[1:], out)
		case "push":
			return runPush(ctx, args[1:], out)
		}
	}
	return errors.New("say build or push; " + usage)
}

func runBuild(ctx context.Context, args []string, out io.Writer) error {
	var o options
	var platforms string
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.StringVar(&o.source, "source", "../..", "the Git checkout to build from")
	flags.StringVar(&o.out, "out", "../../dist/image", "where the layout goes; DIR.tar and the bills of materials go beside it")
	flags.StringVar(&o.version, "version", "", "version that the image tells; default: git describe")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "what to build for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.platforms = strings.Split(platforms, ",")
	made, err := build(ctx, o)
	if err != nil {
		return err
	}
	return made.print(out)
}

func runPush(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	dir := flags.String("layout", "../../dist/image", "the layout that image build wrote")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one image to push to, such as registry.example.com/refract; " + usage)
	}
	pushed, err := push(ctx, *dir, flags.Arg(0))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "pushed", pushed)
	return err
}

// options say what to build.
type options struct {
	source    string   // a Git checkout
	out       string   // directory of the layout
	version   string   // empty: git describe
	platforms []string // such as linux/amd64
	env       []string // for the compiler, after our own
}

// result is what a build made.
type result struct {
	out, name, digest string
	images            []platformImage
}

// build makes the layout and what lies beside it.
func build(ctx context.Context, o options) (result, error) {
	from, err := readSource(ctx, o)
	if err != nil {
		return result{}, err
	}
	scratch, err := os.MkdirTemp("", "refract-image-")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	var images []platformImage
	for _, name := range o.platforms {
		image, failed := buildPlatform(ctx, from, name, scratch, o.env)
		if failed != nil {
			return result{}, fmt.Errorf("image for %s: %w", name, failed)
		}
		images = append(images, image)
	}
	index := newIndex(from, images)
	digest, err := index.Digest()
	if err != nil {
		return result{}, err
	}
	made := result{out: o.out, name: title + ":" + from.tag(), digest: digest.String(), images: images}
	return made, writeAll(o.out, from, index, images)
}

func buildPlatform(ctx context.Context, from source, name, scratch string, env []string) (platformImage, error) {
	p, err := parsePlatform(name)
	if err != nil {
		return platformImage{}, err
	}
	compiled, err := compile(ctx, from, p, filepath.Join(scratch, p.OS+"-"+p.Architecture), env)
	if err != nil {
		return platformImage{}, err
	}
	return newPlatformImage(from, p, compiled)
}

// print says what there is now, the reference by digest last.
func (r result) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%-12s %s, %s.tar\n", "layout", r.out, r.out)
	for _, i := range r.images {
		fmt.Fprintf(&text, "%-12s %s\n", i.platform, i.digest)
		fmt.Fprintf(&text, "%-12s %s\n", "  bill", billFile(r.out, i.platform))
	}
	fmt.Fprintf(&text, "%s@%s\n", r.name, r.digest)
	_, err := io.WriteString(out, text.String())
	return err
}
