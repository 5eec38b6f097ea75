package review

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

func TestWhatIsKeptIsBounded(t *testing.T) {
	d := newDesk(t)
	hash := func(n int) string { return fmt.Sprintf("%040x", n) }
	for n := range MaxKept + 3 {
		d.now = d.now.Add(time.Minute)
		r := pull(hash(n), rolling("edge-01", 3))
		r.Number = n
		d.put(r)
	}
	if kept, err := d.List(t.Context(), production); err != nil || len(kept) != MaxKept || kept[0].Tree != hash(MaxKept+2) || kept[MaxKept-1].Tree != hash(3) {
		t.Errorf("%d are kept, %v", len(kept), err)
	}
	d.now = d.now.Add(KeptFor - time.Minute)
	if err := d.Tidy(t.Context(), production); err != nil || len(d.secrets()) != 1 {
		t.Errorf("%d are left, %v", len(d.secrets()), err)
	}
	staging := client.ObjectKey{Namespace: production.Namespace, Name: "staging"}
	if err := d.Put(t.Context(), staging, pull(tree, rolling("edge-01", 3))); err != nil {
		t.Fatal(err)
	}
	if err := d.Forget(t.Context(), production); err != nil || len(d.secrets()) != 1 || d.get(hash(MaxKept+2)) != nil {
		t.Errorf("%d are left, %v", len(d.secrets()), err)
	}
}

// A Fleet may go while nobody looks.
func TestCollect(t *testing.T) {
	d := newDesk(t)
	d.put(pull(tree, rolling("edge-01", 3)))
	long := client.ObjectKey{Namespace: production.Namespace, Name: strings.Repeat("long", 20)}
	for _, f := range []client.ObjectKey{{Namespace: production.Namespace, Name: "gone"}, {Namespace: "elsewhere", Name: production.Name}, long} {
		if err := d.Put(t.Context(), f, pull(tree, rolling("edge-01", 3))); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []client.ObjectKey{production, long} {
		if err := d.api.Create(t.Context(), &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: f.Name}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept, err := d.Get(t.Context(), long, tree); len(d.secrets()) != 2 || d.get(tree) == nil || kept == nil || err != nil {
		t.Errorf("%d are left, %v", len(d.secrets()), err)
	}
	d.now = noon.Add(KeptFor)
	if err := d.Collect(t.Context()); err != nil || len(d.secrets()) != 0 {
		t.Errorf("%d are left, %v", len(d.secrets()), err)
	}
}
