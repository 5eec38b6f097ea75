package drift

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refract-dev/refract/test/rig"
)

// message of a condition, "" when there is none.
func message(o rig.Conditioned, condition string) string {
	if have := meta.FindStatusCondition(o.GetConditions(), condition); have != nil {
		return have.Message
	}
	return ""
}

// words fails unless a text holds all of them.
func words(text string, all ...string) error {
	for _, w := range all {
		if !strings.Contains(text, w) {
			return fmt.Errorf("%q lacks %q", text, w)
		}
	}
	return nil
}

func contains(t *testing.T, text string, all ...string) {
	t.Helper()
	if err := words(text, all...); err != nil {
		t.Error(err)
	}
}

// replace one part of a text that must be there.
func replace(t *testing.T, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("no %q in %s", old, text)
	}
	return strings.Replace(text, old, with, 1)
}
