package hand

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Request is one line of the API server's audit log.
type Request struct {
	// Verb of the request.
	Verb string `json:"verb"`
	// UserAgent of who asked.
	UserAgent string `json:"userAgent"`
	// URI that was asked for.
	URI string `json:"requestURI"`
	// At is when the request arrived.
	At time.Time `json:"requestReceivedTimestamp"`
	// Object that it is about.
	Object struct {
		Resource, Namespace, Name, Subresource string
	} `json:"objectRef"`
}

func (r Request) String() string {
	return fmt.Sprintf("%s %s at %s", r.Verb, r.URI, r.At.Format(time.TimeOnly))
}

// DryRun says whether the request was one.
func (r Request) DryRun() bool { return strings.Contains(r.URI, "dryRun=") }

// Writes are the operator's requests that are not reads, dry runs included, in this namespace since a moment of the API
// server's clock.
func (s *Scene) Writes(since time.Time) []Request {
	s.T.Helper()
	file, err := os.Open(s.World.AuditLog())
	if err != nil {
		s.T.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var found []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r := Request{}
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // the last line, half written
		}
		reads := slices.Contains([]string{"get", "list", "watch"}, r.Verb)
		if r.UserAgent == "refract" && !reads && r.Object.Namespace == s.Namespace && r.At.After(since) {
			found = append(found, r)
		}
	}
	if err := lines.Err(); err != nil {
		s.T.Fatal(err)
	}
	return found
}

// Idle waits until the operator has been quiet for a while, then watches it for some intervals of its Fleet: each costs
// one ref listing and nothing else, and the API server's audit log holds no write and no dry run of ours.
func (s *Scene) Idle(intervals int) {
	s.T.Helper()
	listed := func() int { n, _ := s.Door.Count(); return n }
	more := func(n int, what string) {
		s.T.Helper()
		begin := listed()
		s.Within(10*time.Minute, what, func() error {
			if now := listed() - begin; now < n {
				return fmt.Errorf("%d ref listings", now)
			}
			return nil
		})
	}
	begin := time.Time{}
	s.Within(10*time.Minute, "the operator is quiet", func() error {
		before := s.Writes(time.Time{})
		more(2, "two intervals")
		writes := s.Writes(time.Time{})
		for _, w := range writes { // the log is in the order of the answers
			if w.At.After(begin) {
				begin = w.At
			}
		}
		if len(writes) > len(before) {
			return fmt.Errorf("it wrote %v", writes[len(before):])
		}
		return nil
	})
	_, others := s.Door.Count()
	f := s.Fleet("production")
	more(intervals, fmt.Sprintf("%d intervals", intervals))
	if _, now := s.Door.Count(); now != others {
		s.T.Errorf("%d requests beside ref listings", now-others)
	}
	for _, w := range s.Writes(begin) {
		s.T.Errorf("an idle fleet is written: %s", w)
	}
	if len(s.Writes(time.Time{})) == 0 {
		s.T.Error("the audit log holds no write of ours at all: it is not read right")
	}
	if now := s.Fleet("production"); now.ResourceVersion != f.ResourceVersion {
		s.T.Errorf("the Fleet was written: %+v", now.Status)
	}
}
