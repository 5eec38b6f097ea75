package forge

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// mostKept is how many bytes of answers are kept of one repository: 8 MiB. A hundred pull requests of GitHub are about two.
const mostKept = 8 << 20

// unchanged keeps answers that came with an ETag, so that the same question can be asked on condition that the answer is
// another one by now. The host decides that each time: nothing is believed any longer than without. GitHub counts a
// question whose answer is the same towards no limit.
type unchanged struct {
	mu    sync.Mutex
	kept  []*answer // the one that was of use last is the last
	bytes int
}

// answer to a question.
type answer struct {
	url    string
	header http.Header
	body   []byte
}

// condition gives the request to send in the place of req, and what to answer if nothing changed; nil when nothing is kept.
func (u *unchanged) condition(req *http.Request) (*http.Request, *answer) {
	if req.Method != http.MethodGet {
		return req, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	i := u.find(req)
	if i < 0 {
		return req, nil
	}
	have := u.kept[i]
	u.kept = append(slices.Delete(u.kept, i, i+1), have)
	req = req.Clone(req.Context())
	req.Header.Set("If-None-Match", have.header.Get("ETag"))
	return req, have
}

func (u *unchanged) find(req *http.Request) int {
	url := req.URL.String()
	return slices.IndexFunc(u.kept, func(a *answer) bool { return a.url == url })
}

// keep remembers an answer, if its host can tell whether it changed. What was read of its body is put back.
func (u *unchanged) keep(req *http.Request, res *http.Response) {
	if req.Method != http.MethodGet || res.StatusCode != http.StatusOK || res.Header.Get("ETag") == "" {
		return
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, mostKept+1))
	rest := res.Body
	if err != nil || len(body) > mostKept {
		res.Body = &resumed{Reader: io.MultiReader(bytes.NewReader(body), &failing{err}, rest), Closer: rest}
		return
	}
	_ = rest.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	u.mu.Lock()
	defer u.mu.Unlock()
	if i := u.find(req); i >= 0 {
		u.bytes -= u.kept[i].size()
		u.kept = slices.Delete(u.kept, i, i+1)
	}
	one := &answer{url: req.URL.String(), header: res.Header.Clone(), body: body}
	u.kept = append(u.kept, one)
	for u.bytes += one.size(); u.bytes > mostKept && len(u.kept) > 1; {
		u.bytes -= u.kept[0].size()
		u.kept = slices.Delete(u.kept, 0, 1)
	}
}

// ofHeader is about what the header of an answer takes, in bytes.
const ofHeader = 4 << 10

func (a *answer) size() int { return len(a.body) + len(a.url) + ofHeader }

// again is an answer that was given before, in the place of one that says that nothing changed.
func (a *answer) again(res *http.Response) {
	_ = res.Body.Close()
	header := a.header.Clone()
	for name, values := range res.Header {
		if strings.HasPrefix(name, "X-Ratelimit-") {
			header[name] = values // as of now
		}
	}
	res.StatusCode, res.Status, res.Header = http.StatusOK, "200 OK", header
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(a.body)), int64(len(a.body))
}

// resumed is a body of which a part was read.
type resumed struct {
	io.Reader
	io.Closer
}

// failing is the end of what could be read; nothing when err is nil.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
