// Command chart writes the parts of charts/refract that follow from other files: its CRDs, roles and admission policies
// from config, its README.md from its values and their schema, and its copy of the licence. make verify runs it and
// fails if that changes a file, so that the chart and kubectl apply -k config/default install the same.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := write(root); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// generated is the directory of the chart that holds nothing else.
const generated = "templates/generated"

// write writes all generated files below the root of the repository, and removes those whose source is gone.
func write(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	chart := filepath.Join(root, "charts", "refract")
	if err := os.RemoveAll(filepath.Join(chart, generated)); err != nil { //nolint:gosec // a directory of the source tree
		return fmt.Errorf("clearing the generated templates: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(chart, generated), 0o755); err != nil { //nolint:gosec // a directory of the source tree
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(chart, name), text, 0o644); err != nil { //nolint:gosec // a file of the source tree
			return err
		}
	}
	return nil
}

// generate returns the generated files by their path below the chart.
func generate(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for prefix, dir := range map[string]string{"crd": "crd/bases", "policy": "policy", "rbac": "rbac"} {
		paths, err := filepath.Glob(filepath.Join(root, "config", dir, "*.yaml"))
		if err != nil || len(paths) == 0 {
			return nil, errors.Join(fmt.Errorf("config/%s holds no file", dir), err)
		}
		for _, path := range paths {
			from := "config/" + dir + "/" + filepath.Base(path)
			text, err := templateFile(from, path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", from, err)
			}
			if text != nil {
				files[generated+"/"+prefix+"-"+filepath.Base(path)] = text
			}
		}
	}
	var err error
	if files["LICENSE"], err = os.ReadFile(filepath.Join(root, "LICENSE")); err != nil { //nolint:gosec // a file of the source tree
		return nil, err
	}
	files["README.md"], err = readme(filepath.Join(root, "charts", "refract"))
	return files, err
}

// templateFile is the template of a file of config, nil for one that is no part of the chart.
func templateFile(from, path string) ([]byte, error) {
	condition := conditionOf(from)
	if condition == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // a file of the source tree
	if err != nil {
		return nil, err
	}
	return template(from, condition, string(text))
}
