// Package docs runs the shell blocks of the documents that are marked for it, so that what is printed is what works.
//
// A mark is an HTML comment on the line above a fenced block:
//
//	<!-- test: run -->             run it with bash -euo pipefail, in the directory and with the variables that the
//	                               blocks before it on the page left; "exit=3" expects that exit code, "repeat" runs it
//	                               again until it prints what the output block below says
//	<!-- test: output -->          what the block before it prints; … stands for anything in a line, and a line of
//	                               nothing but … for any number of lines
//	<!-- test: file fleet/a.yaml -->   write the block into that file
//	<!-- test: golden a/testdata/b.md -->   the block shows that golden file of another test, … as in output
//
// Every other shell block stands in unrun.txt with the reason why no test runs it.
package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is one fenced block of a page.
type block struct {
	page string
	line int    // of its opening fence
	lang string // first word after the fence
	mark string // run, output, file, golden or ""
	args string // what the mark says beside
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// shell says whether readers would type the block.
func (b block) shell() bool {
	switch b.lang {
	case "sh", "bash", "shell", "console":
		return true
	}
	return false
}

// first line that is a command, without a comment behind it.
func (b block) first() string {
	for line := range strings.Lines(b.text) {
		line, _, _ = strings.Cut(line, " #")
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return ""
}

// exit code that a run is to end with.
func (b block) exit() (int, error) {
	for word := range strings.FieldsSeq(b.args) {
		if code, ok := strings.CutPrefix(word, "exit="); ok {
			return strconv.Atoi(code)
		}
	}
	return 0, nil
}

// repeat says whether the block is run until its output is right.
func (b block) repeat() bool { return strings.Contains(b.args, "repeat") }

var (
	fence = regexp.MustCompile("^( *)(```+)([A-Za-z]*)")
	mark  = regexp.MustCompile(`^ *<!-- test: ([a-z]+) ?(.*?) *-->$`)
)

// blocks reads the fenced blocks of a page. A fence that is not closed, a mark without a block and an unknown mark are
// errors.
func blocks(page, text string) ([]block, error) {
	var (
		all    []block
		marked *block
		open   *block
		end    string
	)
	for i, line := range strings.Split(text, "\n") {
		f, m := fence.FindStringSubmatch(line), mark.FindStringSubmatch(line)
		switch {
		case open != nil && strings.TrimSpace(line) == end:
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line + "\n"
		case m != nil:
			if marked != nil {
				return nil, fmt.Errorf("%s has no block below it", marked)
			}
			marked = &block{page: page, line: i + 1, mark: m[1], args: m[2]}
			if !slices.Contains([]string{"run", "output", "file", golden}, m[1]) {
				return nil, fmt.Errorf("%s: unknown mark %q", marked, m[1])
			}
		case f != nil:
			open = &block{page: page, line: i + 1, lang: f[3]}
			if marked != nil {
				open.mark, open.args, marked = marked.mark, marked.args, nil
			}
			end = f[2]
		case marked != nil:
			return nil, fmt.Errorf("%s has no block right below it", marked)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s is not closed", open)
	}
	return all, nil
}

func TestBlocks(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   []block
		failed bool
	}{
		"Plain":     {"a block without a mark", "a\n```sh\nls\n```\n", []block{{page: "p", line: 2, lang: "sh", text: "ls\n"}}, false},
		"Run":       {"a mark belongs to the block below it", "<!-- test: run exit=3 -->\n```sh\nls\n```", []block{{page: "p", line: 2, lang: "sh", mark: "run", args: "exit=3", text: "ls\n"}}, false},
		"Indented":  {"blocks of a list count", "1. a\n   ```sh\n   ls\n   ```\n", []block{{page: "p", line: 2, lang: "sh", text: "   ls\n"}}, false},
		"Two":       {"a mark serves one block", "<!-- test: output -->\n```text\na\n```\n```sh\n```\n", []block{{page: "p", line: 2, lang: "text", mark: "output", text: "a\n"}, {page: "p", line: 5, lang: "sh"}}, false},
		"Nested":    {"a longer fence holds shorter ones", "````\n```sh\n````\n", []block{{page: "p", line: 1, text: "```sh\n"}}, false},
		"Open":      {"a fence that is not closed swallows the page", "```sh\nls\n", nil, true},
		"FarAway":   {"a mark above text is a mistake", "<!-- test: run -->\n\n```sh\n```\n", nil, true},
		"OtherMark": {"a misspelt mark is a mistake", "<!-- test: rum -->\n```sh\n```\n", nil, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := blocks("p", c.text)
			if (err != nil) != c.failed {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(block{})); !c.failed && diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
