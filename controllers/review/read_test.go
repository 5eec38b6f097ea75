package review

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/render/plan"
)

// of is what a pull request shows that is not #7.
func of(number int, hash string, plans ...plan.Plan) Reviewed {
	r := pull(hash, plans...)
	r.Number = number
	return r
}

func (d *desk) best() *Reviewed {
	d.t.Helper()
	r, err := d.Get(d.t.Context(), production, tree)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) merged(number int, approvals ...Approval) {
	d.t.Helper()
	if err := d.Merge(d.t.Context(), production, tree, number, approvals); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) spend(number int) {
	d.t.Helper()
	if err := d.Spend(d.t.Context(), production, tree, number, []string{"edge-01"}); err != nil {
		d.t.Fatal(err)
	}
}

// An approval counts from when the forge calls the pull request merged, and as it stands since.
func TestApprovalsCountFromTheMerge(t *testing.T) {
	d := newDesk(t)
	d.put(pull(tree, rolling("edge-01", 3)))
	d.approve(tree, ada)
	if r := d.best(); r.InForce("edge-01", noon) != nil || r.Stands("edge-01", noon) == nil {
		t.Errorf("before the merge: %+v", r)
	}
	told := 0
	d.Changed = func(client.ObjectKey, string) { told++ }
	d.merged(7, ada)
	d.merged(7, ada)
	if r := d.best(); r.InForce("edge-01", noon) == nil || told != 1 {
		t.Errorf("told %d times: %+v", told, r)
	}
	d.put(pull(tree, rolling("edge-01", 3))) // by a pass that began before
	if r := d.best(); r.InForce("edge-01", noon) == nil {
		t.Errorf("put once more: %+v", r)
	}
	d.merged(7)
	if r := d.best(); r.InForce("edge-01", noon) != nil || !r.Merged {
		t.Errorf("taken back before the merge: %+v", r)
	}
}

// Two pull requests that lead to the same files keep what each of them showed, and the word on one counts for that one.
func TestTwoPullRequestsOfOneTree(t *testing.T) {
	two := func(t *testing.T) *desk {
		t.Helper()
		d := newDesk(t)
		d.put(pull(tree, rolling("edge-01", 3)))
		d.approve(tree, ada)
		d.now = noon.Add(time.Minute)
		d.put(of(8, tree, rolling("edge-01", 3)))
		d.now = noon.Add(2 * time.Minute)
		if r := d.best(); r.Number != 8 || r.InForce("edge-01", d.now) != nil || r.Stands("edge-01", d.now) != nil {
			t.Errorf("none is merged: %+v", r)
		}
		if r := d.get(tree); r.Stands("edge-01", d.now) == nil {
			t.Errorf("the other one displaced it: %+v", r)
		}
		return d
	}
	t.Run("TheOtherIsShownAgainAfterTheMerge", func(t *testing.T) {
		d := two(t)
		d.merged(7, ada)
		d.now = noon.Add(3 * time.Minute)
		d.put(of(8, tree, rolling("edge-01", 2)))
		if r := d.best(); r.Number != 7 || r.InForce("edge-01", d.now) == nil {
			t.Errorf("%+v", r)
		}
	})
	t.Run("TheApprovedOneIsMerged", func(t *testing.T) {
		d := two(t)
		d.merged(7, ada)
		if r := d.best(); r.Number != 7 || r.InForce("edge-01", d.now) == nil {
			t.Errorf("%+v", r)
		}
	})
	t.Run("TheOtherOneIsMerged", func(t *testing.T) {
		d := two(t)
		d.merged(8)
		if r := d.best(); r.Number != 8 || r.InForce("edge-01", d.now) != nil {
			t.Errorf("%+v", r)
		}
	})
	t.Run("TheSameFilesAgain", func(t *testing.T) {
		d := two(t)
		d.merged(7, ada)
		d.spend(7)
		if r := d.best(); r.Number != 8 || r.Served() {
			t.Errorf("what was not taken on is still there: %+v", r)
		}
		d.spend(8)
		if r := d.best(); !r.Served() {
			t.Errorf("%+v", r)
		}
	})
}

// A branch may leave the files that it took on and come back to them: then that was shown anew.
func TestTakenOnBefore(t *testing.T) {
	d := newDesk(t)
	d.put(pull(tree, rolling("edge-01", 3)))
	d.approve(tree, ada)
	d.spend(7)
	d.now = noon.Add(time.Hour)
	d.put(pull(tree, rolling("edge-01", 3)))
	if r := d.get(tree); !r.Served() {
		t.Errorf("of the same branch: %+v", r)
	}
	since := pull(tree, rolling("edge-01", 3))
	since.Base = "b2"
	d.put(since)
	if r := d.get(tree); r.Served() || r.Stands("edge-01", d.now) != nil {
		t.Errorf("of another: %+v", r)
	}
}

// What is not readable is not taken for nothing: whoever asks is told what to do. An open pull request has it written
// again.
func TestBrokenSecret(t *testing.T) {
	for name, spoil := range map[string]func(s *corev1.Secret){
		"NoHeader":     func(s *corev1.Secret) { delete(s.Data, keyHeader) },
		"NotGzip":      func(s *corev1.Secret) { s.Data[keyHeader] = []byte("x") },
		"OtherPlans":   func(s *corev1.Secret) { s.Data[keyBody], _ = pack(body{}) },
		"OfAnotherOne": func(s *corev1.Secret) { s.Data[keyHeader], _ = pack(header{APIVersion: packVersion, Tree: other}) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.put(pull(tree, rolling("edge-01", 3)))
			s := d.secrets()[0]
			spoil(&s)
			if err := d.api.Update(t.Context(), &s); err != nil {
				t.Fatal(err)
			}
			if r, err := d.Get(t.Context(), production, tree); !errors.Is(err, ErrUnreadable) || r != nil ||
				!strings.Contains(err.Error(), "Secret clusters/"+s.Name) || !strings.Contains(err.Error(), "delete it") {
				t.Errorf("%+v, %v", r, err)
			}
			d.put(pull(tree, rolling("edge-01", 3)))
			if r := d.best(); r == nil || len(r.Clusters) != 1 {
				t.Errorf("its pull request is open, and what it shows is %+v", r)
			}
		})
	}
}

// A part that is gone is no reason to try for ever.
func TestPartIsGone(t *testing.T) {
	d := newDesk(t)
	d.put(pull(tree, rolling("edge-01", 3)))
	s := d.secrets()[0]
	h := header{}
	if err := unpack(s.Data[keyHeader], &h); err != nil {
		t.Fatal(err)
	}
	h.Parts = []string{"gone"}
	s.Data[keyHeader], _ = pack(h)
	if err := d.api.Update(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Get(t.Context(), production, tree); !errors.Is(err, ErrUnreadable) || r != nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("%+v, %v", r, err)
	}
}
