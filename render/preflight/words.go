package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

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
	if near := nearest(id.Name, names); near != "" {
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

// nearest is the name that a mistyped one probably means; empty when none is near.
func nearest(name string, names []string) string {
	best, distance := "", max(1, len(name)/4)+1
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := edits(strings.ToLower(name), strings.ToLower(n)); name != "" && d < distance {
			best, distance = n, d
		}
	}
	return best
}

// edits is the number of characters to insert, delete or replace to turn a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
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
