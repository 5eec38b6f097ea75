package gitsource

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"golang.org/x/crypto/ssh"
)

// sshOpener runs git-upload-pack over SSH. Address, user, key and host keys
// come from the URL and the Secret alone: no agent, no configuration file.
type sshOpener struct {
	at     address
	signer ssh.Signer
	known  []byte
	limits Limits
}

func newSSHOpener(a address, auth Auth, limits Limits) (*sshOpener, error) {
	signer, err := auth.signer()
	if err != nil {
		return nil, err
	}
	if _, err := parseKnownHosts(auth.KnownHosts); err != nil {
		return nil, err
	}
	return &sshOpener{at: a, signer: signer, known: auth.KnownHosts, limits: limits}, nil
}

func (o *sshOpener) close() {}

func (o *sshOpener) open(ctx context.Context) (session, error) {
	keys, err := newHostKeys(o.known, o.at.host, o.at.port)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(o.at.host, o.at.port))
	if err != nil {
		return nil, fail(ErrUnreachable, "%s", clean(err.Error()))
	}
	s := &sshSession{limits: o.limits, closers: []io.Closer{conn}}
	// The SSH library knows no contexts: the end of ctx closes what it reads.
	s.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := s.start(conn, o, keys); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

type sshSession struct {
	limits  Limits
	stdin   io.WriteCloser
	stdout  io.Reader
	stderr  tail
	wait    func() error // For the far end to finish
	asked   bool
	closers []io.Closer
	release func() bool
}

func (s *sshSession) start(conn net.Conn, o *sshOpener, keys *hostKeys) error {
	c, chans, reqs, err := ssh.NewClientConn(conn, net.JoinHostPort(o.at.host, o.at.port), &ssh.ClientConfig{
		User:              o.at.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(o.signer)},
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: keys.algorithms(),
	})
	switch {
	case keys.refusal != nil:
		return keys.refusal
	case err != nil && strings.Contains(err.Error(), "unable to authenticate"):
		return fail(ErrAuth, "the server does not accept the key %s for user %s; add its public half to the repository, or check identity in the Secret",
			ssh.FingerprintSHA256(o.signer.PublicKey()), clean(o.at.user))
	case err != nil:
		return fail(ErrUnreachable, "SSH: %s", clean(err.Error()))
	}
	client := ssh.NewClient(c, chans, reqs)
	s.closers = append(s.closers, client)
	return s.run(client, uploadPack+" "+shellQuote(o.at.path))
}

func (s *sshSession) run(client *ssh.Client, command string) error {
	sess, err := client.NewSession()
	if err == nil {
		s.closers = append(s.closers, sess)
		sess.Stderr = &s.stderr
		s.stdin, err = sess.StdinPipe()
	}
	if err == nil {
		s.stdout, err = sess.StdoutPipe()
	}
	if err == nil {
		s.wait = sess.Wait
		err = sess.Start(command)
	}
	if err != nil {
		return fail(ErrUnreachable, "SSH: the server does not run git-upload-pack: %s", clean(err.Error()))
	}
	return nil
}

func (s *sshSession) Close() error {
	if s.stdin != nil && !s.asked {
		_, _ = s.stdin.Write(pktline.FlushPkt) // A polite end, so that servers log no error.
	}
	for _, c := range slices.Backward(s.closers) {
		_ = c.Close() // Each may be closed by the far end already.
	}
	s.release()
	return nil
}

func (s *sshSession) refs(context.Context) (*packp.AdvRefs, error) {
	refs, err := decodeRefs(newLimitReader(s.stdout, s.limits.MaxRefBytes, "the list of refs"))
	if errors.Is(err, ErrUnreachable) {
		// Hosts explain a refusal on stderr and end.
		_ = s.stdin.Close()
		_ = s.wait()
		if text := s.stderr.String(); text != "" {
			return nil, serverText(text)
		}
	}
	return refs, err
}

func (s *sshSession) pack(_ context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	s.asked = true
	// A server that refuses the first line hangs up before the last, and its
	// answer says more than the failed write.
	_ = encodeRequest(s.stdin, req)
	return decodePack(struct {
		io.Reader
		io.Closer
	}{newLimitReader(s.stdout, s.limits.MaxPackBytes, "the transfer"), s}, req)
}

// encodeRequest writes what to send; nothing is ever offered as present.
func encodeRequest(w io.Writer, req *packp.UploadPackRequest) error {
	err := req.UploadRequest.Encode(w)
	if err == nil {
		err = pktline.NewEncoder(w).EncodeString("done\n")
	}
	if err != nil {
		return fail(ErrUnreachable, "sending the request: %s", clean(err.Error()))
	}
	return nil
}

// serverText classifies what a host says in words.
func serverText(text string) error {
	low := strings.ToLower(text)
	for _, s := range []string{"not found", "does not exist", "does not appear to be a git", "could not be found", "no such"} {
		if strings.Contains(low, s) {
			return fail(ErrNotFound, "no such repository, or the credentials may not see it; check the URL and the Secret (the server says %q)", clean(text))
		}
	}
	for _, s := range []string{"denied", "permission", "not authorized", "forbidden"} {
		if strings.Contains(low, s) {
			return fail(ErrAuth, "access refused; check what the credentials in the Secret may read (the server says %q)", clean(text))
		}
	}
	return fail(ErrUnreachable, "the server says %q", clean(text))
}

// shellQuote quotes a path for the far shell.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// tail keeps the first KiB that a host says on stderr.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := 1024 - t.buf.Len(); room > 0 {
		t.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
