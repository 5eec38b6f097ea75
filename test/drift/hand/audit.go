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
