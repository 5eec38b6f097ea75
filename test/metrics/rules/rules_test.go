package rules

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// Files of the repository that are checked against each other.
const (
	root            = "../../.."
	alerts          = root + "/charts/refract/files/alerts.yaml"
	dashboard       = root + "/charts/refract/files/dashboard.json"
	reference       = root + "/docs/reference/metrics.md"
	troubleshooting = "docs/guides/troubleshooting.md"
	guide           = root + "/docs/metrics.md"
	home            = "https://github.com/refract-dev/refract/blob/main/"
)

var promQL = parser.NewParser(parser.Options{})

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rules parses the alert rules as Prometheus does.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse([]byte(read(t, alerts)), false, model.LegacyValidation, promQL, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

var (
	row     = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|(.*)\\|$")
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// documented are the metrics of the reference with the labels of each.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(read(t, reference), -1) {
		name, cells := m[1], strings.Split(m[2], "|") // type, labels, meaning; of libraries without the type
		has := strings.TrimSpace(cells[len(cells)-2])
		known[name] = append(strings.Split(has, ", "), "job", "instance", "pod")
		if strings.TrimSpace(cells[0]) == "histogram" || (len(cells) == 2 && strings.HasSuffix(name, "_seconds")) {
			known[name+"_bucket"] = append(slices.Clone(known[name]), "le")
		}
	}
	if len(known) < 30 {
		t.Fatalf("read only %d metrics from %s", len(known), reference)
	}
	return known
}

// refersTo fails unless every metric of an expression is documented, with the labels that are asked for.
func refersTo(t *testing.T, known map[string][]string, expr string) {
	t.Helper()
	parsed, err := promQL.ParseExpr(expr)
	if err != nil {
		t.Errorf("%v in %s", err, expr)
		return
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			has, there := known[s.Name]
			if !there {
				t.Errorf("%s is in no reference: %s", s.Name, expr)
			}
			for _, m := range s.LabelMatchers {
				if m.Name != labels.MetricName && !slices.Contains(has, m.Name) {
					t.Errorf("%s has no label %s: %s", s.Name, m.Name, expr)
				}
			}
		}
		return nil
	})
}

// TestAlertRules has Prometheus' own parser read the rules, and holds them to what people expect of an alert.
func TestAlertRules(t *testing.T) {
	known := documented(t)
	anchors := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(read(t, root+"/"+troubleshooting), -1) {
		anchors[slug(m[1])] = true
	}
	words := read(t, guide)
	seen := map[string]bool{}
	for _, r := range rules(t) {
		t.Run(r.Alert, func(t *testing.T) {
			if !strings.HasPrefix(r.Alert, "Refract") || seen[r.Alert] {
				t.Error("the name does not begin with Refract, or is not the only one")
			}
			seen[r.Alert] = true
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
				t.Errorf("severity is %q", r.Labels["severity"])
			}
			for _, name := range []string{"summary", "description"} {
				if !strings.HasSuffix(r.Annotations[name], ".") {
					t.Errorf("%s is %q", name, r.Annotations[name])
				}
			}
			page, anchor, _ := strings.Cut(strings.TrimPrefix(r.Annotations["runbook_url"], home), "#")
			if page != troubleshooting || !anchors[anchor] {
				t.Errorf("runbook_url %q leads nowhere", r.Annotations["runbook_url"])
			}
			if !strings.Contains(words, "`"+r.Alert+"`") {
				t.Errorf("%s does not tell of it", guide)
			}
			refersTo(t, known, r.Expr)
		})
	}
	if len(seen) < 10 {
		t.Errorf("only %d alerts", len(seen))
	}
}

var unslug = regexp.MustCompile(`[^a-z0-9 _-]`)

func slug(title string) string {
	return strings.ReplaceAll(unslug.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}
