package rules

import (
	"encoding/json"
	"strings"
	"testing"
)

// board is what is checked of a Grafana dashboard.
type board struct {
	Title, UID    string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
}

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ Type, UID string }
	Targets     []struct{ RefID, Expr string }
}

type variable struct{ Name, Type, Query string }

// grafana puts in what Grafana puts in for variables.
var grafana = strings.NewReplacer("$namespace", ".*", "$__rate_interval", "5m")

// TestDashboard has Prometheus' own parser read every query, and shows that no panel hides another.
func TestDashboard(t *testing.T) {
	var b board
	if err := json.Unmarshal([]byte(read(t, dashboard)), &b); err != nil {
		t.Fatal(err)
	}
	if b.Title == "" || b.UID == "" || b.SchemaVersion < 30 {
		t.Errorf("title %q, uid %q, schemaVersion %d", b.Title, b.UID, b.SchemaVersion)
	}
	known, ids, taken := documented(t), map[int]bool{}, map[[2]int]string{}
	used := read(t, dashboard)
	for _, v := range b.Templating.List {
		if !strings.Contains(used, "$"+v.Name) && !strings.Contains(used, "${"+v.Name+"}") {
			t.Errorf("variable %s serves nothing", v.Name)
		}
		if metric, _, ok := strings.Cut(strings.TrimPrefix(v.Query, "label_values("), ","); ok {
			refersTo(t, known, metric)
		}
	}
	queries := 0
	for _, p := range b.Panels {
		t.Run(p.Title, func(t *testing.T) {
			if ids[p.ID] {
				t.Errorf("id %d is taken", p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("at %d, %d it lies on %q or outside", x, y, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				return
			}
			if p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
				t.Errorf("description %q, %d queries, data source %q", p.Description, len(p.Targets), p.Datasource.UID)
			}
			for _, target := range p.Targets {
				queries++
				expr := grafana.Replace(target.Expr)
				if strings.Contains(expr, "$") {
					t.Errorf("a variable that is not there: %s", expr)
				}
				refersTo(t, known, expr)
			}
		})
	}
	if queries < 20 {
		t.Errorf("only %d queries", queries)
	}
	for name := range known {
		if strings.HasPrefix(name, "refract_") && !strings.HasSuffix(name, "_bucket") && !strings.Contains(used+read(t, alerts), name) {
			t.Errorf("%s is on no panel and in no alert", name)
		}
	}
}
