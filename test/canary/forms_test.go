package canary

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// forms are all the ways in which a secret may be written: as it is, and as it stands in URLs, JSON, Go, hexadecimal
// and base64, there also in the middle of something longer.
func forms(secret string) map[string]string {
	all := map[string]string{
		"as it is":    secret,
		"URL query":   url.QueryEscape(secret),
		"URL path":    url.PathEscape(secret),
		"Go":          inner(strconv.Quote(secret)),
		"Go in Go":    inner(strconv.Quote(inner(strconv.Quote(secret)))),
		"HTML":        html.EscapeString(secret),
		"JSON":        inner(quoted(secret, true)),
		"plain JSON":  inner(quoted(secret, false)),
		"hexadecimal": hex.EncodeToString([]byte(secret)),
		"HEXADECIMAL": strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 of URLs": base64.RawURLEncoding} {
		for shift := range 3 {
			// Three bytes make four letters: what stands before moves it, and the first and last letters depend on neighbours.
			for of, form := range map[string]string{"": secret, " of JSON": all["JSON"], " of plain JSON": all["plain JSON"]} {
				text := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + form))
				first := (shift*8 + 5) / 6
				last := (shift + len(form)) * 8 / 6
				all[name+of+" +"+strconv.Itoa(shift)] = text[first:last]
			}
		}
	}
	return all
}

func inner(quoted string) string { return strings.TrimSuffix(strings.TrimPrefix(quoted, `"`), `"`) }

func quoted(s string, html bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if err := e.Encode(s); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// find says in which forms a secret stands in a text.
func find(text, secret string) []string {
	var found []string
	for name, form := range forms(secret) {
		if i := strings.Index(text, form); i >= 0 {
			found = append(found, name+": …"+text[max(0, i-160):min(len(text), i+len(form)+40)]+"…")
		}
	}
	return found
}

// TestForms shows that a secret is found however it is written, and that nothing else is.
func TestForms(t *testing.T) {
	const secret = `Pa+s/w"ö<rd>&1%2 3`
	header := base64.StdEncoding.EncodeToString([]byte("user:" + secret))
	cases := map[string]string{
		"Raw":              "it says " + secret + " and ends",
		"BasicHeader":      "Authorization: Basic " + header,
		"BasicHeaderURL":   base64.URLEncoding.EncodeToString([]byte("longuser:" + secret + ":more")),
		"SecretData":       base64.StdEncoding.EncodeToString([]byte(secret)),
		"ShiftedByTwo":     base64.StdEncoding.EncodeToString([]byte("ab" + secret + "cd")),
		"UserInfo":         "https://" + url.UserPassword("user", secret).String() + "@host",
		"Query":            "https://host/?token=" + url.QueryEscape(secret),
		"LogOfJSON":        `{"msg":` + quoted(secret, true) + `}`,
		"StatusJSON":       quoted("the server says "+secret, false),
		"Quoted":           "the server says " + strconv.Quote(secret),
		"Hex":              hex.EncodeToString([]byte("ab" + secret)),
		"HexOfGo":          strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"JSONInsideBase64": base64.StdEncoding.EncodeToString([]byte(`[{"password":"` + secret + `"}]`)),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			if len(find(text, secret)) == 0 {
				t.Errorf("not found in %s", text)
			}
			if found := find(text, "Pa+s/w-of-another"); len(found) > 0 {
				t.Errorf("another one is found: %q", found)
			}
		})
	}
}
