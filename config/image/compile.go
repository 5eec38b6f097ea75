package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The variable that holds the version in the program.
const versionVariable = "github.com/refract-dev/refract/controllers/cli.Version"

// program is a compiled binary and what it was made of.
type program struct {
	file     string
	info     *debug.BuildInfo
	licenses []license
}

func parsePlatform(name string) (v1.Platform, error) {
	p, err := v1.ParsePlatform(name)
	if err != nil || p.OS != "linux" || p.Architecture == "" || p.Variant != "" {
		return v1.Platform{}, fmt.Errorf("platform %q: write linux/ and an architecture, such as linux/arm64", name)
	}
	return *p, nil
}

// compile builds the program. Nothing of the machine gets in: no paths, no C, no settings of whoever builds.
func compile(ctx context.Context, from source, p v1.Platform, file string, env []string) (program, error) {
	env = append([]string{
		"GOOS=" + p.OS, "GOARCH=" + p.Architecture,
		"CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFLAGS=", "GOWORK=off", "GOFIPS140=off",
	}, env...)
	_, err := output(ctx, from.dir, env, "go", "build", "-trimpath", "-buildvcs=true",
		"-ldflags=-s -w -X "+versionVariable+"="+from.version, "-o", file, ".")
	if err != nil {
		return program{}, err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, err
	}
	licenses, err := readLicenses(ctx, from, info.Deps)
	if err != nil {
		return program{}, fmt.Errorf("collecting licenses: %w", err)
	}
	return program{file: file, info: info, licenses: licenses}, nil
}

// modules are the program's dependencies, replaced ones as what stands in for them.
func modules(info *debug.BuildInfo) []*debug.Module {
	if info == nil {
		return nil
	}
	var found []*debug.Module
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		found = append(found, m)
	}
	return found
}

// goVersion is the version of the Go standard library, such as 1.26.8.
func (p program) goVersion() string {
	version, _, _ := strings.Cut(p.info.GoVersion, " ")
	return strings.TrimPrefix(version, "go")
}

func (p program) read() ([]byte, error) { return os.ReadFile(p.file) }
