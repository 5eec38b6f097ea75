package prism

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// plain asks without an SDK, for what no v4 SDK can: the v3 API, whose client changes the whole process's TLS, and the
// version. The answer is decoded into "into", unless that is nil.
func (d *Door) plain(ctx context.Context, method, path string, body, into any) error {
	w, err := d.hire(ctx)
	if err != nil {
		return err
	}
	defer d.release(w)
	// All that is asked this way only reads.
	q := question{method: method, target: path, harmless: true, header: http.Header{"Accept": {"application/json"}}}
	if body != nil {
		if q.body, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode a question to Prism Central: %w", err)
		}
		q.header.Set("Content-Type", "application/json")
	}
	a, failure := d.gate.exchange(ctx, q)
	if failure != nil {
		return failure
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return d.gate.misbehaves(q, "answers with something else than expected: %s", d.gate.hide(err.Error()))
	}
	return nil
}
