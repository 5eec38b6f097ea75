package main

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// The sample fleet. Its addresses are written for a site; the demo puts in those of its world.
//
//go:embed fleet
var sample embed.FS

const (
	// sampleAccount is the address of Prism Central in the sample.
	sampleAccount = "pc.example.com"
	// fleetFile holds the Fleet itself, beside the directory that it declares.
	fleetFile = "production.yaml"
)

// sampleEndpoints are the control-plane endpoints in the sample.
func sampleEndpoints() []string { return []string{"10.20.0.11", "10.20.0.12", "10.20.0.13"} }

// sampleFiles are the files of the sample fleet, path to content, with other addresses: of Prism Central, and of one
// endpoint a cluster, in the order of sampleEndpoints.
func sampleFiles(prism string, endpoints []string) (map[string]string, error) {
	if len(endpoints) != len(sampleEndpoints()) || slices.Contains(endpoints, "") {
		return nil, fmt.Errorf("the sample fleet needs %d endpoints, got %q", len(sampleEndpoints()), endpoints)
	}
	pairs := []string{sampleAccount, prism}
	for i, from := range sampleEndpoints() {
		pairs = append(pairs, from, endpoints[i])
	}
	replace := strings.NewReplacer(pairs...)
	files := map[string]string{}
	err := fs.WalkDir(sample, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := sample.ReadFile(path)
		files[path] = replace.Replace(string(text))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the sample fleet: %w", err)
	}
	return files, nil
}

// fleetObject is the Fleet that follows a repository.
func fleetObject(url string) string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: Fleet
metadata: {name: production, namespace: clusters}
spec:
  git:
    url: %s
    ref: {branch: main}
    path: ./fleet
    secretRef: {name: git-credentials}
  interval: 3s   # a demo is impatient; the default is a minute
`, url)
}
