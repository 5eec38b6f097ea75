package review

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// packVersion is the form of what is kept.
const packVersion = "review.refract.dev/v1"

// maxUnpacked bounds what is read back: 64 MiB.
const maxUnpacked = 64 << 20

// header is the part that changes without the plans: who approved, what was taken on.
type header struct {
	APIVersion string               `json:"apiVersion"`
	Tree       string               `json:"tree"`
	Number     int                  `json:"number,omitempty"`
	URL        string               `json:"url,omitempty"`
	Title      string               `json:"title,omitempty"`
	Head       string               `json:"head,omitempty"`
	Base       string               `json:"base,omitempty"`
	Digest     string               `json:"digest,omitempty"`
	Merged     bool                 `json:"merged,omitempty"`
	Closed     bool                 `json:"closed,omitempty"`
	Shown      time.Time            `json:"shown"`
	Put        time.Time            `json:"put"`
	Clusters   map[string]time.Time `json:"clusters,omitempty"` // when each was first shown
	Spent      []string             `json:"spent,omitempty"`
	Approvals  []Approval           `json:"approvals,omitempty"`
	Body       string               `json:"body"`            // digest of the body
	Parts      []string             `json:"parts,omitempty"` // further Secrets that hold the body
}

// body is what was shown.
type body struct {
	Clusters map[string]shownCluster `json:"clusters,omitempty"`
	Capacity []view.Capacity         `json:"capacity,omitempty"`
}

type shownCluster struct {
	Plan     json.RawMessage `json:"plan"`
	Removal  bool            `json:"removal,omitempty"`
	Findings []view.Finding  `json:"findings,omitempty"`
}

func (r *Reviewed) header() header {
	h := header{
		APIVersion: packVersion, Tree: r.Tree, Number: r.Number, URL: r.URL, Title: r.Title, Head: r.Head, Base: r.Base,
		Digest: r.Digest, Merged: r.Merged, Closed: r.Closed, Shown: r.Shown, Clusters: map[string]time.Time{}, Approvals: r.Approvals,
	}
	for name, c := range r.Clusters {
		h.Clusters[name] = c.Shown
		if c.Spent {
			h.Spent = append(h.Spent, name)
		}
	}
	slices.Sort(h.Spent)
	return h
}

// packed is the body as gzipped JSON.
func (r *Reviewed) packed() ([]byte, error) {
	b := body{Clusters: map[string]shownCluster{}, Capacity: r.Capacity}
	for name, c := range r.Clusters {
		raw, err := plan.Marshal(c.Plan)
		if err != nil {
			return nil, err
		}
		b.Clusters[name] = shownCluster{Plan: raw, Removal: c.Removal, Findings: c.Findings}
	}
	return pack(b)
}

// unpacked puts header and body together again.
func unpacked(h header, packed []byte) (*Reviewed, error) {
	b := body{}
	if err := unpack(packed, &b); err != nil {
		return nil, err
	}
	r := &Reviewed{
		Tree: h.Tree, Number: h.Number, URL: h.URL, Title: h.Title, Head: h.Head, Base: h.Base, Digest: h.Digest, Merged: h.Merged, Closed: h.Closed,
		Shown: h.Shown, Clusters: map[string]Cluster{}, Capacity: b.Capacity, Approvals: h.Approvals,
	}
	for name, c := range b.Clusters {
		p, err := plan.Unmarshal(c.Plan)
		if err != nil {
			return nil, err
		}
		r.Clusters[name] = Cluster{
			Plan: p, Removal: c.Removal, Findings: c.Findings, Shown: h.Clusters[name], Spent: slices.Contains(h.Spent, name),
		}
	}
	return r, nil
}

// pack makes gzipped JSON.
func pack(value any) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if err := json.NewEncoder(zip).Encode(value); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func unpack(data []byte, target any) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(zip, maxUnpacked+1))
	if err != nil {
		return err
	}
	if len(raw) > maxUnpacked {
		return fmt.Errorf("it unpacks to more than %d MiB", maxUnpacked>>20)
	}
	return json.Unmarshal(raw, target)
}
