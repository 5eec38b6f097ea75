package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/site"
)

// count says that not exactly one entity is meant, and what to do.
func count(kind string, id site.ID, where string, found int, names []string) string {
	if id.IsZero() {
		return "no " + kind + " is named: name one"
	}
	if found > 1 {
		return fmt.Sprintf("%d %ss are called %s %s, and CAPX takes none of them: name it by uuid", found, kind, quoted(id), where)
	}
	return fmt.Sprintf("no %s %s %s: correct it, or make it there%s", kind, quoted(id), where, instead(id, names))
}

// instead offers what there is: the nearest name, or all if they are few.
func instead(id site.ID, names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if near := build.Nearest(id.Name, names); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	switch {
	case len(names) == 0:
		return " (there is none at all)"
	case len(names) <= 5:
		return " (there is " + strings.Join(names, ", ") + ")"
	}
	return ""
}

func quoted(id site.ID) string { return strconv.Quote(id.String()) }

func wish(w site.GPUWish) string {
	if w.DeviceID != nil {
		return "device " + strconv.FormatInt(*w.DeviceID, 10)
	}
	return w.Name
}

const gib = 1 << 30

// up writes what is needed in GiB, down what is free.
func up(bytes int64) string {
	return resource.NewQuantity((bytes+gib-1)/gib*gib, resource.BinarySI).String()
}

func down(bytes int64) string {
	return resource.NewQuantity(max(0, bytes)/gib*gib, resource.BinarySI).String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
