package prism

import (
	"regexp"
	"strings"
)

// identifier finds the segments of a path that name one object, such as a UUID or the id of a task.
var identifier = regexp.MustCompile(`[^/]*[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}[^/]*`)

// routeOf is a request without what is different each time, such as "GET /api/vmm/v4.2/ahv/config/vms/{extId}".
func routeOf(q question) string {
	path, _, _ := strings.Cut(q.target, "?")
	return q.method + " " + identifier.ReplaceAllLiteralString(path, "{extId}")
}
