package main

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// conditionOf is the condition, over the values, under which the objects of a file of config are installed; empty for
// files that are no part of the chart, or that it has written by hand, as bindings are: they name the service account.
func conditionOf(from string) string {
	dir, file := path.Split(from)
	switch {
	case dir == "config/crd/bases/":
		return ".Values.crds.enabled"
	case file == "kustomization.yaml":
		return ""
	case dir == "config/policy/":
		return ".Values.policies.enabled"
	case file == "role.yaml", file == "leader_election.yaml":
		return ".Values.rbac.create"
	case file == "planner_role.yaml":
		// Without its policy a planner could write.
		return "and .Values.rbac.roles .Values.policies.enabled"
	case strings.HasSuffix(file, "_role.yaml"):
		return ".Values.rbac.roles"
	}
	return ""
}

const (
	crdKind        = "CustomResourceDefinition"
	policyKind     = "ValidatingAdmissionPolicy"
	bindingKind    = "ValidatingAdmissionPolicyBinding"
	aggregateLabel = "rbac.authorization.k8s.io/aggregate-to-"
)

var (
	// The lines of an object that are written anew, up to its first own field.
	head = regexp.MustCompile(`(?s)^((?:#[^\n]*\n)*)apiVersion:.*?\n(rules|spec):`)
	// Names of our own objects, also where a message or a binding speaks of them.
	ourName = regexp.MustCompile(`\brefract((?:-[a-z]+)+)\b`)
)

// template turns a file of Kubernetes objects into a template that installs them under a condition.
func template(from, condition, text string) ([]byte, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "{{- /* Generated from %s: change that and run make manifests. */}}\n{{- if %s }}\n", from, condition)
	first := true
	for document := range strings.SplitSeq(strings.TrimPrefix(text, "---\n"), "\n---\n") {
		object, err := objectTemplate(strings.TrimRight(document, "\n") + "\n")
		if err != nil {
			return nil, err
		}
		if object == "" {
			continue
		}
		if !first {
			out.WriteString("---\n")
		}
		first = false
		out.WriteString(object)
	}
	out.WriteString("{{- end }}\n")
	return []byte(out.String()), nil
}

// objectTemplate is one object with a name of the release, its labels and what keeps it; empty for a binding of roles.
func objectTemplate(document string) (string, error) {
	var o metav1.PartialObjectMetadata
	if err := yaml.Unmarshal([]byte(document), &o); err != nil {
		return "", err
	}
	if strings.HasSuffix(o.Kind, "RoleBinding") {
		return "", nil
	}
	found := head.FindStringSubmatchIndex(document)
	if found == nil {
		return "", fmt.Errorf("%s %s: want comments, apiVersion, kind and metadata, then rules or spec", o.Kind, o.Name)
	}
	comment, body := document[:found[3]], document[found[4]:]
	annotations := maps.Clone(o.Annotations)
	if o.Kind == crdKind || o.Kind == policyKind || o.Kind == bindingKind {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["helm.sh/resource-policy"] = "keep"
	}
	var out strings.Builder
	out.WriteString(escape(comment))
	fmt.Fprintf(&out, "apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n", o.APIVersion, o.Kind, named(o.Kind, o.Name))
	if o.Namespace != "" {
		out.WriteString("  namespace: {{ .Release.Namespace }}\n")
	}
	out.WriteString("  labels:\n    {{- include \"refract.labels\" . | nindent 4 }}\n")
	for _, key := range slices.Sorted(maps.Keys(o.Labels)) {
		line := fmt.Sprintf("    %s: %q\n", key, o.Labels[key])
		if strings.HasPrefix(key, aggregateLabel) {
			line = "    {{- if .Values.rbac.aggregate }}\n" + line + "    {{- end }}\n"
		}
		out.WriteString(line)
	}
	if len(annotations) > 0 {
		out.WriteString("  annotations:\n")
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		fmt.Fprintf(&out, "    %s: %s\n", key, escape(annotations[key]))
	}
	out.WriteString(named(o.Kind, escape(body)))
	return out.String(), nil
}

// escape keeps Helm from reading what only looks like a template.
func escape(text string) string { return strings.ReplaceAll(text, "{{", `{{ "{{" }}`) }

// named puts the release's name in place of refract in the names of objects. CRDs have names of their own.
func named(kind, text string) string {
	if kind == crdKind {
		return text
	}
	return ourName.ReplaceAllString(text, `{{ include "refract.fullname" . }}$1`)
}
