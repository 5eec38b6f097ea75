package gitsource

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// opener connects to one repository with one set of credentials. It is safe
// for concurrent use.
type opener interface {
	// open begins a conversation; Close ends it.
	open(ctx context.Context) (session, error)
	// close drops idle connections.
	close()
}

// session is one conversation with git-upload-pack: refs, then at most one
// pack. Its errors carry a kind.
type session interface {
	refs(ctx context.Context) (*packp.AdvRefs, error)
	pack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error)
	io.Closer
}

// errNoSuchWant says that the server does not hand out a commit by its bare
// hash; another fetch may still reach it.
var errNoSuchWant = errors.New("the server refuses that commit")

// refusesWant recognises the words for it of Git, other hosts and JGit.
func refusesWant(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "not our ref") || strings.Contains(text, "unadvertised object") ||
		(strings.Contains(text, "want ") && strings.Contains(text, "not valid"))
}

// decodeRefs reads a ref listing. An empty repository is an empty listing.
func decodeRefs(r io.Reader) (*packp.AdvRefs, error) {
	refs := packp.NewAdvRefs()
	err := refs.Decode(r)
	switch {
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return packp.NewAdvRefs(), nil
	case err != nil:
		return nil, remoteSaid(err)
	}
	// Packs must stand alone. The other capabilities that go-git takes out by
	// default (multi_ack) are harmless where nothing is offered as present,
	// and Azure DevOps answers nobody without them.
	refs.Capabilities.Delete(capability.ThinPack)
	return refs, nil
}

// decodePack reads the answer to req up to where the pack begins.
func decodePack(rc io.ReadCloser, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	buffered := bufio.NewReader(rc)
	if line, ok := errorLine(buffered); ok {
		_ = rc.Close()
		if refusesWant(line) {
			return nil, errNoSuchWant
		}
		return nil, serverText(line)
	}
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(buffered)); err != nil {
		_ = rc.Close()
		return nil, packError(err)
	}
	var body io.Reader = res
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		body = sideband.NewDemuxer(sideband.Sideband64k, res)
	case req.Capabilities.Supports(capability.Sideband):
		body = sideband.NewDemuxer(sideband.Sideband, res)
	}
	return struct {
		io.Reader
		io.Closer
	}{body, rc}, nil
}

// errorLine looks whether the answer begins with an error; go-git reads over
// one that stands where it expects shallow commits.
func errorLine(r *bufio.Reader) (string, bool) {
	head, err := r.Peek(8)
	if err != nil || string(head[4:]) != "ERR " {
		return "", false
	}
	size, err := strconv.ParseUint(string(head[:4]), 16, 16)
	if err != nil || size < 8 {
		return "", false
	}
	line := make([]byte, size)
	n, _ := io.ReadFull(r, line) // What came of it will do.
	return string(line[min(8, n):n]), true
}

// remoteSaid turns an error line of the protocol into ours.
func remoteSaid(err error) error {
	if line, ok := errors.AsType[*pktline.ErrorLine](err); ok {
		return serverText(line.Text)
	}
	if kindOf(err) != nil {
		return err
	}
	return fail(ErrUnreachable, "the answer broke off or is not Git's protocol: %s", clean(err.Error()))
}

// limitReader fails with ErrLimit after n bytes, where io.LimitReader would
// pretend that the data had ended.
type limitReader struct {
	r     io.Reader
	n     int64
	limit int64
	what  string
}

func newLimitReader(r io.Reader, limit int64, what string) *limitReader {
	return &limitReader{r: r, n: limit, limit: limit, what: what}
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.n <= 0 {
		var one [1]byte
		n, err := l.r.Read(one[:])
		if n > 0 {
			return 0, fail(ErrLimit, "%s passes the limit of %d bytes", l.what, l.limit)
		}
		return 0, err
	}
	if int64(len(p)) > l.n {
		p = p[:l.n]
	}
	n, err := l.r.Read(p)
	l.n -= int64(n)
	return n, err
}
