package gitsource

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestURLs(t *testing.T) {
	file, insecure := Options{AllowFileURLs: true}, Options{AllowInsecure: true}
	cases := map[string]struct {
		url  string
		o    Options
		want string // How messages show it
		says string // Or why it is refused
	}{
		"HTTPS":            {url: "https://git.example.com/a/b.git", want: "https://git.example.com/a/b.git"},
		"HTTPSPort":        {url: "https://git.example.com:8443/a/", want: "https://git.example.com:8443/a"},
		"HTTPSEscaped":     {url: "https://git.example.com/a%20b", want: "https://git.example.com/a%20b"},
		"HTTPSv6":          {url: "https://[::1]:8443/a", want: "https://[::1]:8443/a"},
		"SSH":              {url: "ssh://git@git.example.com/a.git", want: "ssh://git@git.example.com/a.git"},
		"SSHPort":          {url: "ssh://me@git.example.com:2222/a.git", want: "ssh://me@git.example.com:2222/a.git"},
		"SSHNoUser":        {url: "ssh://git.example.com/a.git", want: "ssh://git@git.example.com/a.git"},
		"SCP":              {url: "git@git.example.com:team/a.git", want: "ssh://git@git.example.com/team/a.git"},
		"SCPNoUser":        {url: "git.example.com:a.git", want: "ssh://git@git.example.com/a.git"},
		"SCPv6":            {url: "git@[::1]:a.git", want: "ssh://git@[::1]/a.git"},
		"File":             {url: "file:///srv/a.git", o: file, want: "file:///srv/a.git"},
		"Loopback":         {url: "http://127.0.0.1:3000/a.git", o: insecure, want: "http://127.0.0.1:3000/a.git"},
		"Localhost":        {url: "http://localhost:3000/a.git", o: insecure, want: "http://localhost:3000/a.git"},
		"Empty":            {says: "empty"},
		"Token":            {url: "https://s3cret@git.example.com/a.git", says: "into the Secret"},
		"Password":         {url: "https://bob:s3cret@git.example.com/a.git", says: "into the Secret"},
		"SSHPassword":      {url: "ssh://bob:s3cret@git.example.com/a.git", says: "into the Secret"},
		"MalformedSecret":  {url: "https://bob:s3cret@git.example.com:port/a.git", says: "not well-formed"},
		"Query":            {url: "https://git.example.com/a.git?ref=s3cret", says: "remove what follows"},
		"Fragment":         {url: "https://git.example.com/a.git#main", says: "remove what follows"},
		"PlainHTTP":        {url: "http://git.example.com/a.git", says: "plain http is refused"},
		"PlainHTTPFlagged": {url: "http://git.example.com/a.git", o: insecure, says: "plain http is refused"},
		"LoopbackNoFlag":   {url: "http://127.0.0.1/a.git", says: "plain http is refused"},
		"FileNoFlag":       {url: "file:///srv/a.git", says: "--allow-file-urls"},
		"FileHost":         {url: "file://host/a.git", o: file, says: "names no host"},
		"LocalPath":        {url: "/srv/a.git", o: file, says: "no scheme"},
		"RelativePath":     {url: "./a.git", o: file, says: "no scheme"},
		"GitProtocol":      {url: "git://git.example.com/a.git", says: `scheme "git"`},
		"Helper":           {url: "ext::sh -c x", says: "blank"},
		"HelperNoBlank":    {url: "ext::x", says: "names no repository"},
		"DashHost":         {url: "ssh://-oProxyCommand=x/a.git", says: "dash"},
		"DashUser":         {url: "-oProxyCommand=x@host:a.git", says: "dash"},
		"DashPath":         {url: "git@host:-a.git", says: "dash"},
		"NoHost":           {url: "https:///a.git", says: "no host"},
		"NoPath":           {url: "https://git.example.com/", says: "names no repository"},
		"LineBreak":        {url: "https://git.example.com/a\n.git", says: "control character"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.o.URL = tc.url
			a, err := parseAddress(tc.o)
			if tc.says == "" {
				if err != nil || a.String() != tc.want {
					t.Errorf("%q = %q, %v; want %q", tc.url, a, err, tc.want)
				}
				return
			}
			wantErr(t, err, ErrRefused, tc.says)
			if err == nil {
				t.Fatalf("accepted as %q", a)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func TestAuthFromSecret(t *testing.T) {
	cases := map[string]struct {
		data map[string]string
		want Auth
		says string
	}{
		"Basic":            {data: map[string]string{"username": "bob\n", "password": "pw\n"}, want: Auth{Username: "bob", Password: "pw"}},
		"BasicAndCA":       {data: map[string]string{"username": "bob", "password": "pw", "ca.crt": "PEM"}, want: Auth{Username: "bob", Password: "pw", CA: []byte("PEM")}},
		"Bearer":           {data: map[string]string{"bearerToken": "tok\n"}, want: Auth{BearerToken: "tok"}},
		"OnlyCA":           {data: map[string]string{"ca.crt": "PEM"}, want: Auth{CA: []byte("PEM")}},
		"SSH":              {data: map[string]string{"identity": "key", "known_hosts": "h", "identity.pub": "x"}, want: Auth{Identity: []byte("key"), KnownHosts: []byte("h")}},
		"SSHWithPassword":  {data: map[string]string{"identity": "key", "known_hosts": "h", "password": "pw\n"}, want: Auth{Identity: []byte("key"), KnownHosts: []byte("h"), IdentityPassword: []byte("pw")}},
		"Nothing":          {says: "none of"},
		"OtherKeys":        {data: map[string]string{"token": "x"}, says: "none of"},
		"NoPassword":       {data: map[string]string{"username": "bob"}, says: "lacks the key password"},
		"EmptyPassword":    {data: map[string]string{"username": "bob", "password": "\n"}, says: "lacks the key password"},
		"NoUsername":       {data: map[string]string{"password": "s3cret"}, says: "lacks the key username"},
		"NoKnownHosts":     {data: map[string]string{"identity": "key"}, says: "lacks the key known_hosts"},
		"NoIdentity":       {data: map[string]string{"known_hosts": "h", "password": "s3cret"}, says: "lacks the key identity"},
		"BasicAndBearer":   {data: map[string]string{"username": "bob", "password": "s3cret", "bearerToken": "s3cret"}, says: "both username/password and bearerToken"},
		"BasicAndSSH":      {data: map[string]string{"username": "bob", "password": "s3cret", "identity": "key", "known_hosts": "h"}, says: "SSH identity and credentials for https"},
		"BearerAndSSH":     {data: map[string]string{"bearerToken": "s3cret", "identity": "key", "known_hosts": "h"}, says: "SSH identity and credentials for https"},
		"SSHAndAuthority":  {data: map[string]string{"identity": "key", "known_hosts": "h", "ca.crt": "PEM"}, says: "SSH has no certificates"},
		"BearerLineBreaks": {data: map[string]string{"bearerToken": " tok \r\n"}, want: Auth{BearerToken: "tok"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range tc.data {
				data[k] = []byte(v)
			}
			got, err := AuthFromSecret(data)
			if tc.says != "" {
				wantErr(t, err, ErrAuth, tc.says)
				if err == nil || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error: %v", err)
				}
				return
			}
			if err != nil || !got.equal(tc.want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestRevisionRoundTrip(t *testing.T) {
	hash := strings.Repeat("0a", 20)
	for text, want := range map[string]Revision{
		"main@sha1:" + hash:            {Ref: "main", Hash: hash},
		"release/v1.2@sha1:" + hash:    {Ref: "release/v1.2", Hash: hash},
		"user@host/topic@sha1:" + hash: {Ref: "user@host/topic", Hash: hash},
		"sha1:" + hash:                 {Hash: hash},
		"":                             {},
	} {
		got, err := ParseRevision(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q = %+v, %v; back %q", text, got, err, got)
		}
	}
	if got, err := ParseRevision(strings.ToUpper(hash)); err != nil || got.Hash != hash {
		t.Errorf("a bare hash = %+v, %v", got, err)
	}
	for _, bad := range []string{"main", "main@" + hash, "@sha1:" + hash, "main@sha1:" + hash[1:], "a b@sha1:" + hash, "sha256:" + hash} {
		if _, err := ParseRevision(bad); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{"": ".", ".": ".", "./": ".", "./fleet/": "fleet", "a//b/./c": "a/b/c", "a/../b": "b"} {
		if got, err := CleanPath(in); err != nil || got != want {
			t.Errorf("%q = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{"/", "/fleet", "..", "../x", "a/../../x", `a\b`, "a\x00"} {
		if got, err := CleanPath(bad); !errors.Is(err, ErrRefused) {
			t.Errorf("%q = %q, %v; want it refused", bad, got, err)
		}
	}
	if _, err := Open(Options{URL: "https://git.example.com/a.git", Path: "../x"}); !errors.Is(err, ErrRefused) {
		t.Errorf("Open with an escaping path: %v", err)
	}
}

// The package stands on its own floor: nothing of ours, nothing of Kubernetes.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for dep := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") ||
			(strings.HasPrefix(dep, "github.com/refract-dev/") && dep != "github.com/refract-dev/refract/gitsource") {
			got = append(got, dep)
		}
	}
	if diff := cmp.Diff([]string(nil), got); diff != "" {
		t.Errorf("forbidden dependencies:\n%s", diff)
	}
}
