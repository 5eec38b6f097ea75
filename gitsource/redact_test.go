package gitsource

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

// TestSecretsInWordsOfServers shows that a server's words are quoted without the secret, whatever it made of it.
func TestSecretsInWordsOfServers(t *testing.T) {
	const secret = `s3cret/"ö<rd>&%2+\`
	auth := Auth{Username: "bob", Password: secret}
	cases := map[string]string{
		"AsItIs":      secret,
		"Quoted":      fmt.Sprintf("%q", secret),
		"Query":       url.QueryEscape(secret),
		"Path":        url.PathEscape(secret),
		"HTML":        html.EscapeString(secret),
		"Base64":      base64.StdEncoding.EncodeToString([]byte(secret)),
		"Header":      "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+secret)),
		"CutAtTheEnd": strings.Repeat("x", 180) + secret,
		"CutInQuotes": strings.Repeat("x", 180) + fmt.Sprintf("%q", secret),
	}
	for name, words := range cases {
		t.Run(name, func(t *testing.T) {
			r := &Repository{}
			for _, err := range []error{serverText("denied: " + words), fail(ErrRefused, "redirects to %s", clean(words))} {
				said := r.explain(auth, err).Error()
				for _, form := range []string{"s3cret", base64.StdEncoding.EncodeToString([]byte("bob:s3cret"))[:12], base64.StdEncoding.EncodeToString([]byte("s3cret"))} {
					if strings.Contains(said, form) {
						t.Errorf("it says %s", said)
					}
				}
				if !strings.Contains(said, "***") {
					t.Errorf("it does not say that something was taken out: %s", said)
				}
			}
		})
	}
}
