package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// fact is one thing to know about a node.
type fact struct{ name, value string }

// facts are an object in JSON, and keep their order in text.
type facts []fact

// MarshalJSON writes an object with the facts' names.
func (f facts) MarshalJSON() ([]byte, error) {
	m := make(map[string]string, len(f))
	for _, one := range f {
		m[one.name] = one.value
	}
	return json.Marshal(m)
}

// write prints the tree in a format; now is for ages, which only the text has.
func (t tree) write(out io.Writer, format string, now time.Time) error {
	switch format {
	case outputYAML:
		text, err := yaml.Marshal(t)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	case outputJSON:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(t)
	}
	v := treeText{now: now, namespaces: t.namespaces() > 1}
	for _, n := range t.Roots {
		v.root(n)
	}
	for _, u := range t.Unread {
		fmt.Fprintf(&v.buffer, "\nnot shown: %s\n", u)
	}
	_, err := out.Write(v.buffer.Bytes())
	return err
}

func (t tree) namespaces() int {
	seen := map[string]bool{}
	for _, n := range t.Roots {
		seen[n.Namespace] = true
	}
	return len(seen)
}

// treeText draws a tree.
type treeText struct {
	buffer bytes.Buffer
	now    time.Time
	// namespaces: there are several, so that each root names its own.
	namespaces bool
}

func (v *treeText) root(n *node) {
	name := n.Name
	if v.namespaces {
		name = n.Namespace + "/" + name
	}
	v.node(n, name, "", "")
}

// node draws a node and what hangs from it; lead stands before its own line, indent before the lines below it.
func (v *treeText) node(n *node, name, lead, indent string) {
	line := lead + n.Kind + " " + name
	if words := v.words(n); words != "" {
		line += "  " + words
	}
	v.buffer.WriteString(line + "\n")
	stem := indent
	if len(n.Children) > 0 {
		stem += "│ "
	} else {
		stem += "  "
	}
	for _, t := range n.Trouble {
		v.buffer.WriteString(stem + "! " + t + "\n")
	}
	for i, c := range n.Children {
		if i == len(n.Children)-1 {
			v.node(c, c.Name, indent+"└─ ", indent+"   ")
		} else {
			v.node(c, c.Name, indent+"├─ ", indent+"│  ")
		}
	}
}

// words are the state and the facts of a node.
func (v *treeText) words(n *node) string {
	var words []string
	if n.State != "" {
		words = append(words, n.State)
	}
	for _, f := range n.Facts {
		switch at, err := time.Parse(time.RFC3339, f.value); {
		case err != nil:
			words = append(words, f.value)
		case f.name == "created":
			words = append(words, "age "+duration.HumanDuration(v.now.Sub(at)))
		default:
			words = append(words, f.name+" "+duration.HumanDuration(v.now.Sub(at))+" ago")
		}
	}
	return strings.Join(words, " · ")
}
