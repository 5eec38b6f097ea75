package view_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// forms in which a secret could be told: as it is, encoded, and hashed.
func forms(secret string) map[string]string {
	out := map[string]string{
		"itself": secret, "base64": strings.TrimRight(encode(secret), "="), "twice in base64": strings.TrimRight(encode(encode(secret)), "="),
		"hexadecimal": hex.EncodeToString([]byte(secret)),
	}
	for _, content := range []string{secret, encode(secret), "#!/bin/sh\nexport PASSWORD=" + secret + "\nexec agent\n"} {
		sum := sha256.Sum256([]byte(content))
		out["sha256 of "+content] = hex.EncodeToString(sum[:])[:12]
		out["sha256 in base64 of "+content] = base64.StdEncoding.EncodeToString(sum[:])[:16]
	}
	return out
}

// TestNothingSecret: whatever form a secret has in the objects, no view tells anything of it, nor proves a guess.
func TestNothingSecret(t *testing.T) {
	p := secrets(t)
	if len(p.Changes) < 10 {
		t.Fatalf("only %d changes: does the plan still see the secrets?", len(p.Changes))
	}
	held := gated([]plan.Plan{p})
	for _, c := range p.Changes {
		if strings.HasSuffix(c.Field, "content") { // words on a plan may tell it as the plan has it
			held.Clusters[0].Decision.Message += " " + c.Field + " becomes " + c.To + "."
		}
	}
	views["full.txt"] = func(w io.Writer, r view.Report) error { return view.WriteText(w, r, view.TextOptions{Full: true}) }
	defer delete(views, "full.txt")
	for name, write := range views {
		var out bytes.Buffer
		if err := write(&out, held); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, secret := range []string{oldPassword, newPassword, pin} {
			for form, value := range forms(secret) {
				if strings.Contains(strings.ToLower(text), strings.ToLower(value)) {
					t.Errorf("%s tells a secret, %s", name, form)
				}
			}
		}
		for _, digest := range regexp.MustCompile(`sha256:[0-9a-f]+`).FindAllString(text, -1) {
			if digest != p.Digest() && digest != held.Digest {
				t.Errorf("%s shows %s, which is no digest to approve", name, digest)
			}
		}
	}
}

// TestTextIsSafeForTerminals: nothing from a file moves the cursor or turns the direction of writing.
func TestTextIsSafeForTerminals(t *testing.T) {
	for _, full := range []bool{false, true} {
		var out bytes.Buffer
		if err := view.WriteText(&out, hostile(t), view.TextOptions{Full: full}); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar {
				t.Fatalf("%U reaches the terminal:\n%q", r, out.String())
			}
		}
	}
}

// prose is a comment without its code spans: what Markdown and forges look at.
func prose(t *testing.T, comment string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(comment); {
		if comment[i] != '`' {
			b.WriteByte(comment[i])
			i++
			continue
		}
		fence := comment[i : i+len(comment[i:])-len(strings.TrimLeft(comment[i:], "`"))]
		end := regexp.MustCompile("(^|[^`])" + fence + "([^`]|$)").FindStringIndex(comment[i+len(fence):])
		if end == nil {
			t.Fatalf("a code span does not end: %.80q", comment[i:])
		}
		inside := comment[i+len(fence):]
		stop := strings.Index(inside[end[0]:], fence) + end[0]
		if strings.Contains(inside[:stop], "\n") {
			t.Errorf("a code span goes over the end of its line: %.120q", inside[:stop])
		}
		b.WriteString("code")
		i += len(fence) + stop + len(fence)
	}
	return b.String()
}

// harmful is what may not be left of a comment beside its code spans.
var harmful = map[string]*regexp.Regexp{
	"a mention": regexp.MustCompile(`@`), "a reference": regexp.MustCompile(`[^\n#]#|(?i)gh-[0-9]|![0-9]`),
	"a link": regexp.MustCompile(`://|(?i)www\.|\]\(`), "emphasis": regexp.MustCompile(`_|~~|[^*]\*[^*]`),
	"HTML of a file": regexp.MustCompile(`<[^/ds]|<[ds][^eu]|&`), "a control character": regexp.MustCompile(`[^\P{C}\n]`),
}

// harmless demands that a comment without its marker pings nobody and breaks out of nothing.
func harmless(t *testing.T, text string) {
	t.Helper()
	left := prose(t, regexp.MustCompile(`<code>[^<]*</code>`).ReplaceAllString(text, "code"))
	for name, bad := range harmful {
		if at := bad.FindStringIndex(left); at != nil {
			t.Errorf("%s is left: %q", name, left[max(0, at[0]-60):min(len(left), at[1]+60)])
		}
	}
	if opened, closed := strings.Count(left, "<details"), strings.Count(left, "</details>"); opened != closed {
		t.Errorf("%d folds open and %d close", opened, closed)
	}
}

// FuzzMarkdown puts any text wherever a report holds text.
func FuzzMarkdown(f *testing.F) {
	for _, text := range attacks {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		if err := view.WriteMarkdown(&out, filled(text), view.MarkdownOptions{}); err != nil {
			t.Fatal(err)
		}
		harmless(t, out.String())
		const limit = 6000
		out.Reset()
		if err := view.WriteMarkdown(&out, filled(text), view.MarkdownOptions{Limit: limit}); err != nil || out.Len() > limit {
			t.Errorf("%d bytes: %v", out.Len(), err)
		}
	})
}

// TestMarkdownIsSafe: no value pings anybody, refers to anything, is HTML, or breaks the table, a fold or the marker.
func TestMarkdownIsSafe(t *testing.T) {
	var out bytes.Buffer
	if err := view.WriteMarkdown(&out, hostile(t), view.MarkdownOptions{Marker: "refract:a --> b"}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if n := strings.Count(text, "<!--"); n != 1 || strings.Count(strings.SplitN(text, "\n", 2)[0], "-->") != 1 {
		t.Errorf("%d comments open, want the marker alone:\n%s", n, text)
	}
	_, text, _ = strings.Cut(text, "\n")
	harmless(t, text)
	// A row has as many cells as its table's head, whatever stands in them.
	for line := range strings.Lines(text) {
		cells := len(regexp.MustCompile(`(^|[^\\])\|`).FindAllString(line, -1)) - 1
		if strings.HasPrefix(line, "|") && cells != 5 && cells != 6 {
			t.Errorf("%d cells in %s", cells, line)
		}
	}
}
