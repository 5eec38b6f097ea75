package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// license is what a module says of its use.
type license struct {
	module string   // path and version, as in path@version
	ids    []string // SPDX identifiers; none if the text is not a known one
	texts  []string
}

var (
	licenseFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|patents)([._-].*)?$`)
	// Those that say the terms of the code.
	codeLicense = regexp.MustCompile(`(?i)^(licen[sc]e|copying)([._-]|$)`)
	docsLicense = regexp.MustCompile(`(?i)[._-]docs$`)
)

// Below this share of known text a file is not named by an identifier.
const recognised = 75

// readLicenses reads the license files of modules from the module cache, where the compiler had them from, and Go's own.
func readLicenses(ctx context.Context, from source, modules []*debug.Module) ([]license, error) {
	root, err := output(ctx, from.dir, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	dirs := map[string]string{"std": root}
	if err := moduleDirs(ctx, from, modules, dirs); err != nil {
		return nil, err
	}
	var found []license
	for module, dir := range dirs {
		l, err := readLicense(module, dir)
		if err != nil {
			return nil, err
		}
		found = append(found, l)
	}
	slices.SortFunc(found, func(a, b license) int { return strings.Compare(a.module, b.module) })
	return found, nil
}

// moduleDirs finds the directories of modules, which the compiler has just read. It asks no network.
func moduleDirs(ctx context.Context, from source, modules []*debug.Module, into map[string]string) error {
	if len(modules) == 0 {
		return nil
	}
	args := []string{"list", "-m", "-json=Path,Version,Dir,Replace"}
	for _, m := range modules {
		args = append(args, m.Path)
	}
	answer, err := output(ctx, from.dir, []string{"GOFLAGS=", "GOWORK=off"}, "go", args...)
	if err != nil {
		return err
	}
	type module struct {
		Path, Version, Dir string
		Replace            *module
	}
	for decoder := json.NewDecoder(strings.NewReader(answer)); ; {
		var m module
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if m.Replace != nil {
			m = *m.Replace
		}
		into[m.Path+"@"+m.Version] = m.Dir
	}
}

func readLicense(module, dir string) (license, error) {
	found := license{module: module}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return found, err
	}
	for _, entry := range entries {
		if entry.IsDir() || !licenseFile.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // of a module that was compiled in
		if err != nil {
			return found, err
		}
		found.texts = append(found.texts, strings.TrimSpace(string(text)))
		if codeLicense.MatchString(entry.Name()) && !docsLicense.MatchString(entry.Name()) {
			found.ids = append(found.ids, identify(text)...)
		}
	}
	slices.Sort(found.ids)
	found.ids = slices.Compact(found.ids)
	return found, nil
}

func identify(text []byte) []string {
	scan := licensecheck.Scan(text)
	if scan.Percent < recognised {
		return nil
	}
	var ids []string
	for _, match := range scan.Match {
		ids = append(ids, match.ID)
	}
	return ids
}

// licenseText is every text once, after the modules that it goes with.
func licenseText(licenses []license) []byte {
	owners := map[string][]string{}
	var order []string
	for _, l := range licenses {
		for _, text := range l.texts {
			if owners[text] == nil {
				order = append(order, text)
			}
			owners[text] = append(owners[text], l.module)
		}
	}
	var out bytes.Buffer
	out.WriteString("The program contains these Go modules. Their sources can be had by name and version from where Go gets modules.\n")
	for _, text := range order {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(owners[text], "\n"), text)
	}
	return out.Bytes()
}
