package hand

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Live is an object as it was read.
type Live struct{ *unstructured.Unstructured }

// At is what stands at a path of names and list positions, "spec/template/spec/version", as JSON; "" when nothing does.
func (l Live) At(path string) string {
	var at any = l.Object
	for step := range strings.SplitSeq(path, "/") {
		switch in := at.(type) {
		case map[string]any:
			at = in[strings.ReplaceAll(step, "~1", "/")]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(in) {
				return ""
			}
			at = in[i]
		default:
			return ""
		}
	}
	if at == nil {
		return ""
	}
	text, err := json.Marshal(at)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Is checks that a path holds a value, given as JSON.
func (l Live) Is(path, want string) error {
	if have := l.At(path); have != want {
		return fmt.Errorf("%s %s: %s is %q, want %q", l.GetKind(), l.GetName(), path, have, want)
	}
	return nil
}

func gvk(apiVersion, kind string) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(apiVersion, kind)
}

// Now reads an object that must exist.
func (s *Scene) Now(apiVersion, kind, name string) Live {
	s.T.Helper()
	o := s.Object(apiVersion, kind, name)
	if o == nil {
		s.T.Fatalf("there is no %s %s", kind, name)
	}
	return Live{o}
}

// Loosen edits a field of ours that moves no machine with the real kubectl: how many machines a MachineHealthCheck lets
// be unhealthy.
func (s *Scene) Loosen(check, percent string) {
	s.T.Helper()
	s.Kubectl("patch", "machinehealthcheck", check, "--type=merge", "-p", loosened(percent))
}

// LoosenAs does what Loosen does as a field manager.
func (s *Scene) LoosenAs(manager, check, percent string) {
	s.T.Helper()
	s.Edit(manager, Core, "MachineHealthCheck", check, loosened(percent))
}

func loosened(percent string) string {
	return fmt.Sprintf(`{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":%q}}}}`, percent)
}

// Rendered is what the field that Loosen edits is rendered as.
const Rendered = "40%"

// Looseness fails unless that field holds a value.
func (s *Scene) Looseness(check, want string) error {
	s.T.Helper()
	return s.Now(Core, "MachineHealthCheck", check).Is("spec/remediation/triggerIf/unhealthyLessThanOrEqualTo", strconv.Quote(want))
}

// Tight waits until the field is as rendered.
func (s *Scene) Tight(check string) {
	s.T.Helper()
	s.Within(Soon, check+" is put back", func() error { return s.Looseness(check, Rendered) })
}
