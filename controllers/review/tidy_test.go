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
	for n := range MaxKept + 5 {
		d.now = d.now.Add(time.Minute)
		d.put(of(max(n, 2), hash(n), rolling("edge-01", 3))) // #2 was pushed to twice
	}
	// #2 and #4 are open, and the others were closed.
	for range 2 {
		if err := d.Tidy(t.Context(), production, []int{2, 4}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := d.List(t.Context(), production)
	if err != nil || len(kept) != MaxKept+2 || kept[0].Tree != hash(MaxKept+4) || kept[MaxKept].Tree != hash(4) || kept[MaxKept+1].Tree != hash(2) {
		t.Errorf("%d are kept, %v: %v", len(kept), err, kept)
	}
	// One that was merged is about to be asked for.
	d.now = d.now.Add(time.Minute)
	if err = d.Merge(t.Context(), production, hash(2), 2, nil); err != nil {
		t.Fatal(err)
	}
	if err = d.Tidy(t.Context(), production, []int{4}); err != nil {
		t.Fatal(err)
	}
	if kept, err = d.List(t.Context(), production); err != nil || len(kept) != MaxKept+1 || kept[0].Tree != hash(2) || kept[MaxKept].Tree != hash(4) {
		t.Errorf("%d are kept, %v: %v", len(kept), err, kept)
	}
	d.now = d.now.Add(KeptFor - time.Minute)
	if err := d.Tidy(t.Context(), production, []int{4}); err != nil || len(d.secrets()) != 2 {
		t.Errorf("%d are left, %v", len(d.secrets()), err)
	}
	staging := client.ObjectKey{Namespace: production.Namespace, Name: "staging"}
	if err := d.Put(t.Context(), staging, pull(tree, rolling("edge-01", 3))); err != nil {
		t.Fatal(err)
	}
	if err := d.Forget(t.Context(), production); err != nil || len(d.secrets()) != 1 {
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

// However many pull requests are open, what each of them shows stays; what they showed before is bounded.
func TestOpenPullRequestsAreKept(t *testing.T) {
	b := newBench(t)
	first := b.board.propose(1, map[string]string{"fleet/a.yaml": "a: 2\n"})
	const open = MaxKept + 3
	for n := 2; n <= open; n++ {
		p := *first
		p.Number = n
		b.board.pulls[n] = &p
	}
	for b.pass().Again > 0 {
		b.desk.now = b.desk.now.Add(time.Second)
	}
	if kept, err := b.desk.List(t.Context(), production); err != nil || len(kept) != open {
		t.Errorf("%d of %d are kept, %v", len(kept), open, err)
	}
	for n := 3; n <= open; n++ {
		b.board.pulls[n].Closed = true
	}
	b.board.propose(1, map[string]string{"fleet/a.yaml": "a: 3\n"})
	b.restart()
	b.pass()
	if kept, err := b.desk.List(t.Context(), production); err != nil || len(kept) != MaxKept+2 {
		t.Errorf("%d are kept, %v", len(kept), err)
	}
}
