package simulator

import (
	"strings"
	"testing"
)

var testSchema = schema{
	fields: map[string]field{
		"name":                       text,
		"key":                        text,
		"value":                      text,
		"operation":                  text,
		"status":                     enumOf("Prism.Config.TaskStatus", "QUEUED", "RUNNING", "SUCCEEDED"),
		"physicalGpuConfig/deviceId": number,
	},
	lists: map[string]map[string]field{"entitiesAffected": {"extId": text}},
}

func testDocument() object {
	return object{
		"name":              "edge-01-md-0",
		"key":               "Environment",
		"value":             "Production",
		"operation":         "kImageDelete",
		"status":            "QUEUED",
		"physicalGpuConfig": object{"deviceId": int64(8887)},
		"entitiesAffected":  []object{{"extId": "one"}, {"extId": "two"}},
	}
}

func TestFilterMatches(t *testing.T) {
	t.Parallel()
	const imageTask = "entitiesAffected/any(a:a/extId eq 'two') " +
		"and (status eq Prism.Config.TaskStatus'RUNNING' or status eq Prism.Config.TaskStatus'QUEUED') " +
		"and (operation eq 'kImageDelete')"
	cases := map[string]struct {
		filter string
		want   bool
	}{
		"Equal":              {"name eq 'edge-01-md-0'", true},
		"NotEqual":           {"name eq 'edge-01'", false},
		"CaseMatters":        {"name eq 'EDGE-01-MD-0'", false},
		"EmptyText":          {"name eq ''", false},
		"And":                {"key eq 'Environment' and value eq 'Production'", true},
		"AndFails":           {"key eq 'Environment' and value eq 'Staging'", false},
		"Or":                 {"value eq 'Staging' or value eq 'Production'", true},
		"AndBindsTighter":    {"key eq 'Environment' or key eq 'x' and value eq 'x'", true},
		"ParenthesesFirst":   {"(key eq 'Environment' or key eq 'x') and value eq 'x'", false},
		"Enum":               {"status eq Prism.Config.TaskStatus'QUEUED'", true},
		"EnumFails":          {"status eq Prism.Config.TaskStatus'SUCCEEDED'", false},
		"Any":                {"entitiesAffected/any(a:a/extId eq 'one')", true},
		"AnyFails":           {"entitiesAffected/any(a:a/extId eq 'three')", false},
		"TasksOfAnImage":     {imageTask, true},
		"TasksOfOther":       {strings.Replace(imageTask, "two", "three", 1), false},
		"Number":             {"physicalGpuConfig/deviceId eq 8887", true},
		"NumberFails":        {"physicalGpuConfig/deviceId eq 8888", false},
		"WordsInsideOfTexts": {"name eq 'a and (b or c)'", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			match, err := parseFilter(c.filter, testSchema)
			if err != nil {
				t.Fatalf("parseFilter(%s): %v", c.filter, err)
			}
			if got := match(testDocument()); got != c.want {
				t.Errorf("%s: got %v, want %v", c.filter, got, c.want)
			}
		})
	}
}

func TestFilterWithoutTheField(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"name eq ''", "physicalGpuConfig/deviceId eq 0", "entitiesAffected/any(a:a/extId eq '')"} {
		match, err := parseFilter(filter, testSchema)
		if err != nil {
			t.Fatalf("parseFilter(%s): %v", filter, err)
		}
		if match(object{}) {
			t.Errorf("%s matches a document without the field", filter)
		}
	}
}

func TestFilterRefusesOtherForms(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]string{
		"Empty":                "",
		"OtherOperator":        "name ne 'x'",
		"Not":                  "not (name eq 'x')",
		"Function":             "startswith(name, 'x')",
		"UnknownField":         "description eq 'x'",
		"ListOutsideAny":       "entitiesAffected/extId eq 'x'",
		"AnyOverUnknown":       "nics/any(n:n/extId eq 'x')",
		"AnyWithinAny":         "entitiesAffected/any(a:entitiesAffected/any(b:b/extId eq 'x'))",
		"OuterFieldWithinAny":  "entitiesAffected/any(a:name eq 'x')",
		"VariableOutsideOfAny": "entitiesAffected/any(a:a/extId eq 'x') and a/extId eq 'x'",
		"All":                  "entitiesAffected/all(a:a/extId eq 'x')",
		"TextForEnum":          "status eq 'QUEUED'",
		"OtherEnum":            "status eq Vmm.PowerState'QUEUED'",
		"UnknownMember":        "status eq Prism.Config.TaskStatus'WAITING'",
		"TextForNumber":        "physicalGpuConfig/deviceId eq '1'",
		"NumberForText":        "name eq 1",
		"EscapedQuote":         "name eq 'it''s'",
		"OpenQuote":            "name eq 'x",
		"OpenParenthesis":      "(name eq 'x'",
		"SpareParenthesis":     "name eq 'x')",
		"Half":                 "name eq",
		"DanglingAnd":          "name eq 'x' and",
		"TwoWithoutAnd":        "name eq 'x' name eq 'y'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseFilter(filter, testSchema); err == nil {
				t.Errorf("%q was accepted", filter)
			}
		})
	}
}
