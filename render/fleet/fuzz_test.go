package fleet_test

import (
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/fleet"
)

// FuzzDecode decodes any file beside a sound fleet: never a panic, the same result each time, nothing opened outside
// the snapshot, and the sound cluster still there.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "a: b", "a: [", "apiVersion: refract.dev/v1alpha1", "apiVersion: refract.dev/v1\nkind: Fleet",
		"apiVersion: refract.dev/v1alpha1\nkind: CloudAccount\nmetadata: {name: a}\nspec: {endpoint: {address: b}, credentialsRef: {name: c}}",
		"a: &a [*a]", "? [a]\n: b", "<<: {a: b}", "--- !!binary x", "a: 2024-01-01", "a: .nan", "\x00", "- 1\n- 2\n---\n---\n1",
		string(tree(sample)["fleet/clusters/edge-01.yaml"].Data), string(tree(sample)["fleet/profiles/standard.yaml"].Data),
		string(tree(second)["fleet/clusters/edge-02.yaml"].Data),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files := &opens{MapFS: tree(sample)}
		files.MapFS["fleet/fuzz.yaml"] = &fstest.MapFile{Data: []byte(text)}
		one, err := fleet.Decode(files, "fleet", fleet.Options{})
		two, again := fleet.Decode(files, "fleet", fleet.Options{})
		if diff := cmp.Diff(summary(one), summary(two)); diff != "" || message(err) != message(again) {
			t.Errorf("another result for the same input:\n%s", diff)
		}
		for _, name := range files.names {
			if !fs.ValidPath(name) {
				t.Errorf("opened %q", name)
			}
		}
		if (err == nil) != (len(one.Errors) == 0) {
			t.Errorf("error %v with Errors %v", err, one.Errors)
		}
		if !slices.ContainsFunc(one.Clusters, func(c fleet.Cluster) bool { return c.Object.Name == "edge-01" }) {
			t.Error("the sound cluster is gone")
		}
	})
}

// opens notes what is opened.
type opens struct {
	fstest.MapFS
	names []string
}

func (o *opens) Open(name string) (fs.File, error) {
	o.names = append(o.names, name)
	return o.MapFS.Open(name)
}
