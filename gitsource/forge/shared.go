package forge

import (
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxBody is how long a comment may be on either host, in bytes.
	maxBody = 65536
	// maxDescription is how long a status' description may be, in letters.
	maxDescription = 140
)

// pages reads one page after the other, from 1, until read says that it was the last.
func pages(what string, read func(page int) (last bool, err error)) error {
	for page := 1; page <= maxPages; page++ {
		if last, err := read(page); err != nil || last {
			return err
		}
	}
	return fail(ErrLimit, "more than %d pages of %s, which is more than is read", maxPages, what)
}

// comment of any host.
type comment struct {
	id   int64
	body string
}

// commenter writes comments of one pull request.
type commenter struct {
	// find returns our own comment that begins with head, nil if there is none.
	find   func(head string) (*comment, error)
	create func(body string) error
	edit   func(id int64, body string) error
}

// upsert leaves exactly what is to be said: a call that was cut off is repeated without harm.
func (c commenter) upsert(marker, body string) error {
	if marker == "" || strings.Contains(marker, "--") || strings.ContainsAny(marker, "<>\r\n") {
		return fail(ErrRefused, "a marker is one line without -- and angle brackets")
	}
	head := "<!-- " + marker + " -->\n"
	want := head + shorten(body, maxBody-len(head))
	have, err := c.find(head)
	switch {
	case err != nil:
		return err
	case have == nil:
		return c.create(want)
	case plain(have.body) == plain(want):
		return nil
	}
	return c.edit(have.id, want)
}

// plain is a text without what hosts change of it.
func plain(s string) string {
	return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), " \n")
}

// begins says whether a comment is the one under head, however the host ends its lines.
func begins(body, head string) bool {
	return strings.HasPrefix(strings.ReplaceAll(body, "\r\n", "\n"), head)
}

// tooLong ends a comment that was cut.
const tooLong = "\n\n**The rest was cut: the host takes no longer comments.** `refract plan` shows all of it.\n"

// shorten cuts a text of Markdown at the end of a line, and closes what would else swallow the sentence that says so: a
// block of code, folded details.
func shorten(body string, most int) string {
	if len(body) <= most {
		return body
	}
	room := most - len(tooLong)
	for {
		cut := body[:room]
		if end := strings.LastIndexByte(cut, '\n'); end > 0 {
			cut = cut[:end]
		}
		cut = strings.ToValidUTF8(cut, "")
		out := cut + closing(cut) + tooLong
		if len(out) <= most {
			return out
		}
		room -= len(out) - most
	}
}

// closing ends what is open at the end of a text.
func closing(s string) string {
	fenced, open := "", 0
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if mark := fence(line); mark != "" && (fenced == "" || strings.HasPrefix(mark, fenced) && mark == line) {
			if fenced == "" {
				fenced = mark
			} else {
				fenced = ""
			}
			continue
		}
		if fenced == "" {
			open += strings.Count(line, "<details") - strings.Count(line, "</details>")
		}
	}
	out := ""
	if fenced != "" {
		out = "\n" + fenced
	}
	if open > 0 {
		out += "\n" + strings.Repeat("\n</details>", min(open, 50))
	}
	return out
}

// fence is the row of marks that begins or ends a block of code.
func fence(line string) string {
	for _, c := range []string{"`", "~"} {
		if rest := strings.TrimLeft(line, c); len(line)-len(rest) >= 3 {
			return line[:len(line)-len(rest)]
		}
	}
	return ""
}

// sendable is a status as hosts take it.
func sendable(s Status) Status {
	s.Description = clean(s.Description)
	if utf8.RuneCountInString(s.Description) > maxDescription {
		s.Description = string([]rune(s.Description)[:maxDescription-1]) + "…"
	}
	return s
}

// verdict is what one review says about a pull request as a whole.
type verdict struct {
	id           int64
	user, commit string
	approves     bool
	at           time.Time
}

// given is the end of the second in which a host says that something was said: times are told no finer, and what is
// shown a moment before is answered, not what is shown after.
func given(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.UTC().Truncate(time.Second).Add(time.Second - time.Nanosecond)
}

// standing keeps each user's last verdict, if it approves, in the order in which they came.
func standing(all []verdict) []Approval {
	last := map[string]int{}
	for i, v := range all {
		last[v.user] = i
	}
	var out []Approval
	for i, v := range all {
		if v.approves && last[v.user] == i {
			out = append(out, Approval{ID: v.id, User: v.user, Commit: v.commit, At: given(v.at)})
		}
	}
	return out
}

// enroll fills in who is in which of the teams.
func enroll(approvals []Approval, teams []string, member func(org, team, user string) (bool, error)) error {
	for i := range approvals {
		for _, t := range teams {
			r, err := parseRepository(t)
			if err != nil {
				return fail(ErrRefused, "team %q is not organization/team", clean(t))
			}
			is, err := member(r.owner, r.name, approvals[i].User)
			if err != nil {
				return err
			}
			if is {
				approvals[i].Teams = append(approvals[i].Teams, t)
			}
		}
	}
	return nil
}
