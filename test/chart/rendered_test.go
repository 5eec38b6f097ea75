package chart

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// rendered is what helm template yields.
type rendered struct {
	text    string
	objects []*unstructured.Unstructured
}

func parse(t *testing.T, text string) rendered {
	t.Helper()
	r := rendered{text: text}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			r.objects = append(r.objects, o)
		}
	}
}

func (r rendered) find(kind, name string) *unstructured.Unstructured {
	i := slices.IndexFunc(r.objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	if i < 0 {
		return nil
	}
	return r.objects[i]
}

func (r rendered) none(t *testing.T, kind string) {
	t.Helper()
	for _, o := range r.objects {
		if o.GetKind() == kind {
			t.Errorf("there is %s %s", kind, o.GetName())
		}
	}
}

func (r rendered) field(t *testing.T, kind, name string, path ...string) string {
	t.Helper()
	o := r.find(kind, name)
	if o == nil {
		t.Fatalf("there is no %s %s", kind, name)
	}
	text, _, err := unstructured.NestedString(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r rendered) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	o := r.find("Deployment", "refract-manager")
	if o == nil {
		t.Fatal("there is no Deployment refract-manager")
	}
	return decode[appsv1.Deployment](t, o)
}

func (r rendered) container(t *testing.T) corev1.Container {
	t.Helper()
	return r.deployment(t).Spec.Template.Spec.Containers[0]
}

// ports of the container, by name.
func (r rendered) ports(t *testing.T) map[string]int32 {
	t.Helper()
	all := map[string]int32{}
	for _, p := range r.container(t).Ports {
		all[p.Name] = p.ContainerPort
	}
	return all
}

func (r rendered) env(t *testing.T, name, value string) {
	t.Helper()
	env := r.container(t).Env
	i := slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == name })
	switch {
	case i < 0 && value != "":
		t.Errorf("%s is not set", name)
	case i >= 0:
		want(t, env[i].Value, value)
	}
}

// mounted finds the volume that is mounted at a path.
func (r rendered) mounted(t *testing.T, path string, is func(corev1.VolumeSource) bool) {
	t.Helper()
	for _, m := range r.container(t).VolumeMounts {
		for _, v := range r.deployment(t).Spec.Template.Spec.Volumes {
			if m.MountPath == path && v.Name == m.Name && is(v.VolumeSource) {
				return
			}
		}
	}
	t.Errorf("not what is wanted is mounted at %s: %+v of %+v", path, r.container(t).VolumeMounts, r.deployment(t).Spec.Template.Spec.Volumes)
}

func image(t *testing.T, r rendered) string { t.Helper(); return r.container(t).Image }

func pullSecrets(t *testing.T, r rendered) string {
	t.Helper()
	var names []string
	for _, s := range r.deployment(t).Spec.Template.Spec.ImagePullSecrets {
		names = append(names, s.Name)
	}
	return strings.Join(names, ",")
}

func has(value string, of func(*testing.T, rendered) string) func(*testing.T, rendered) {
	return func(t *testing.T, r rendered) { t.Helper(); want(t, of(t, r), value) }
}

func want(t *testing.T, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("got %q, want %q", got, wanted)
	}
}

func last(t *testing.T, list []string, wanted string) {
	t.Helper()
	if len(list) == 0 || list[len(list)-1] != wanted {
		t.Errorf("the last of %q is not %q", list, wanted)
	}
}

func contains(t *testing.T, list []string, wanted string) {
	t.Helper()
	if !slices.Contains(list, wanted) {
		t.Errorf("%q is not among %q", wanted, list)
	}
}
