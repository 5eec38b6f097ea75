package prism

import (
	"context"
	"errors"
	"fmt"

	"github.com/refract-dev/refract/render/site"
)

// pageSize is the most that the v4 API gives at once.
const pageSize = 100

// page of a list, as it was answered.
type page[T any] struct {
	items []T
	// total entries of the list; nil when Prism Central does not say.
	total *int
	// missing: the answer holds no entries at all, which only an empty list may.
	missing bool
}

// listing is how to read one list.
type listing[T any] struct {
	part site.Part
	// id of an entry; entries without one are not entries.
	id func(T) string
	// fetch reads a page, counted from 0.
	fetch func(ctx context.Context, number int) (page[T], error)
}

// tornError is a list that changed while its pages were read, or that contradicts itself.
type tornError struct{ how string }

func (t *tornError) Error() string { return t.how }

// readList reads all pages. A list that is torn is read once more from the start; one that is torn again, or too long,
// is an error: half a list would make machines look missing.
func readList[T any](ctx context.Context, d *Door, l listing[T]) ([]T, error) {
	items, err := readPages(ctx, d, l)
	var torn *tornError
	if errors.As(err, &torn) {
		items, err = readPages(ctx, d, l)
	}
	if errors.As(err, &torn) {
		return nil, &Error{
			Reason: Misbehaving, Err: err,
			Message: fmt.Sprintf("Prism Central %s lists %s in pages that do not fit together: %s; it is read again at the next interval",
				d.gate.name, l.part, torn.how),
		}
	}
	return items, err
}

func readPages[T any](ctx context.Context, d *Door, l listing[T]) ([]T, error) {
	r := reader[T]{door: d, listing: l, total: -1, seen: map[string]bool{}}
	for number := range d.gate.options.MaxPages {
		p, err := l.fetch(ctx, number)
		if err != nil {
			return nil, err
		}
		last, err := r.add(p)
		if err != nil {
			return nil, err
		}
		if last {
			return r.items, nil
		}
	}
	return nil, &Error{
		Reason: Misbehaving,
		Message: fmt.Sprintf("Prism Central %s lists more than %d pages of %s: Refract reads no more than that",
			d.gate.name, d.gate.options.MaxPages, l.part),
	}
}

// reader is a list while it is read.
type reader[T any] struct {
	door    *Door
	listing listing[T]
	items   []T
	seen    map[string]bool
	// total that the pages so far agree on; -1 before one says it.
	total int
}

// add takes a page and says whether it was the last.
func (r *reader[T]) add(p page[T]) (last bool, err error) {
	if p.missing && (p.total == nil || *p.total < 0) {
		return false, &Error{
			Reason:  Misbehaving,
			Message: fmt.Sprintf("Prism Central %s answers a question for %s without saying what there is", r.door.gate.name, r.listing.part),
		}
	}
	if p.total != nil {
		if r.total >= 0 && r.total != *p.total {
			return false, &tornError{fmt.Sprintf("first there are %d entries, then %d", r.total, *p.total)}
		}
		r.total = *p.total
	}
	for _, item := range p.items {
		if err := r.take(item); err != nil {
			return false, err
		}
	}
	switch {
	case r.total < 0:
		return len(p.items) < pageSize, nil
	case len(r.items) > r.total || len(p.items) == 0 && len(r.items) < r.total:
		return false, &tornError{fmt.Sprintf("there should be %d entries and %d came", r.total, len(r.items))}
	}
	return len(r.items) == r.total, nil
}

func (r *reader[T]) take(item T) error {
	id := r.listing.id(item)
	switch {
	case id == "":
		return &Error{
			Reason:  Misbehaving,
			Message: fmt.Sprintf("Prism Central %s lists %s without identifiers", r.door.gate.name, r.listing.part),
		}
	case r.seen[id]:
		return &tornError{"the entry " + r.door.gate.hide(id) + " comes twice"}
	}
	r.seen[id] = true
	r.items = append(r.items, item)
	return nil
}

// pageOf takes what an SDK made of an answer.
func pageOf[T any](data any, total *int) (page[T], error) {
	switch entries := data.(type) {
	case nil:
		return page[T]{total: total, missing: true}, nil
	case []T:
		return page[T]{items: entries, total: total}, nil
	default:
		return page[T]{}, fmt.Errorf("a list was asked for and %T came", data)
	}
}

// sdkPage reads a page through an SDK.
func sdkPage[T any](d *Door, use func(w *worker, number, limit *int) (page[T], error)) func(context.Context, int) (page[T], error) {
	return func(ctx context.Context, number int) (page[T], error) {
		return ask(ctx, d, func(w *worker) (page[T], error) {
			limit := pageSize
			return use(w, &number, &limit)
		})
	}
}
