package plan

import "testing"

// TestShown: what messages and comments tell of a change holds no secret and no digest of one.
func TestShown(t *testing.T) {
	content := measure("password: hunter2")
	cases := map[string]struct {
		reason   string
		change   Change
		from, to string
	}{
		"Plain":     {"values are shown", Change{Field: "spec.memory", From: "4Gi", To: "6Gi"}, "4Gi", "6Gi"},
		"Gone":      {"also of a field that goes", Change{Field: "spec.memory", From: "4Gi"}, "4Gi", ""},
		"Image":     {"a digest that somebody wrote is a value", Change{Field: "spec.image", From: "a@sha256:1", To: "a@sha256:2"}, "a@sha256:1", "a@sha256:2"},
		"Object":    {"a new object is a digest in the plan", Change{Action: Create, To: digestOf([]byte("x"))}, "", "created"},
		"Deleted":   {"words about objects stay", Change{Action: Delete, To: "deleted"}, "", "deleted"},
		"Content":   {"files on machines may hold anything", Change{Field: "spec.files[/a].content", From: content, To: measure("b")}, "", changedValue},
		"NoContent": {"also where one goes", Change{Field: "spec.files[/a].content", From: content}, notShown, ""},
		"File":      {"also within a whole file", Change{Field: "spec.files[/a]", To: `{"content":"` + content + `","path":"/a"}`}, "", `{"content":"not shown","path":"/a"}`},
		"Long":      {"of what is long the size stays", Change{Field: "data.x", From: measure("a"), To: measure("bb")}, "1 bytes", "2 bytes"},
		"SameSize":  {"and where that is the same, that it changed", Change{Field: "data.x", From: measure("a"), To: measure("b")}, "", changedValue},
		"Named":     {"the name beside a value tells what it is", Change{Field: "spec.extraEnvs[DB_PASSWORD].value", From: "a", To: "b"}, "", changedValue},
		"NamedNew":  {"also where both come", Change{Field: "spec.extraEnvs[DB_PASSWORD]", To: `{"name":"DB_PASSWORD","value":"hunter2"}`}, "", `{"name":"DB_PASSWORD","value":"not shown"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if from, to := c.change.Shown(); from != c.from || to != c.to {
				t.Errorf("%s: got %q and %q, want %q and %q", c.reason, from, to, c.from, c.to)
			}
		})
	}
}
