package controllers

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestCallOfTheGuide runs the command that docs/guides/webhooks.md shows, against the receiver.
func TestCallOfTheGuide(t *testing.T) {
	for _, program := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile("../docs/guides/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(url=.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the guide shows no call that begins with url=")
	}
	r, w := aReceiver(true)
	server := httptest.NewServer(r)
	defer server.Close()
	script := regexp.MustCompile(`(?m)^(url|token)=.*$`).ReplaceAllString(string(block[1]), "")
	for _, c := range []struct {
		token string
		ok    bool
		want  string
	}{{hookToken, true, "accepted"}, {"another token altogether", false, "not signed"}} {
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		command.Env = append(os.Environ(), "no_proxy=127.0.0.1", "url="+server.URL+"/hooks/clusters/production", "token="+c.token)
		out, err := command.CombinedOutput()
		if (err == nil) != c.ok || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %s", err, out)
		}
	}
	if w.push != 1 || w.results[callUnsigned] != 1 {
		t.Errorf("woke %d times; counted %v", w.push, w.results)
	}
}
