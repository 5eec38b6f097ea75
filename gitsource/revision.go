package gitsource

import (
	"path"
	"strings"
)

// Ref says what to follow. Exactly one field is set.
type Ref struct {
	// Branch is followed to its tip.
	Branch string
	// Tag is followed even when it is moved; annotated tags are peeled.
	Tag string
	// Commit is a full SHA-1 in hexadecimal.
	Commit string
	// Name is a full ref such as refs/pull/7/head, for what is neither branch
	// nor tag. It is followed to its tip.
	Name string
}

// String names the ref for messages: `branch "main"`.
func (r Ref) String() string {
	switch {
	case r.Branch != "":
		return `branch "` + clean(r.Branch) + `"`
	case r.Tag != "":
		return `tag "` + clean(r.Tag) + `"`
	case r.Name != "":
		return `ref "` + clean(r.Name) + `"`
	default:
		return `commit "` + clean(r.Commit) + `"`
	}
}

// Validate reports, as ErrRefused, a Ref that does not name exactly one thing
// or that Git would not accept as a name.
func (r Ref) Validate() error {
	set := 0
	for _, s := range []string{r.Branch, r.Tag, r.Commit, r.Name} {
		if s != "" {
			set++
		}
	}
	if set != 1 {
		return fail(ErrRefused, "ref: set exactly one of branch, tag, commit and name")
	}
	if r.Commit != "" {
		if !isHash(r.Commit) {
			return fail(ErrRefused, "ref: %s is not a full SHA-1 of 40 hexadecimal digits", r)
		}
		return nil
	}
	if !validRefName(r.short()) {
		return fail(ErrRefused, "ref: %s is not a name that Git accepts", r)
	}
	if r.Name != "" && !strings.HasPrefix(r.Name, "refs/") {
		return fail(ErrRefused, "ref: %s is not a full name; write refs/pull/7/head, or use branch or tag", r)
	}
	return nil
}

// fullName is the name under which a server lists the ref, "" for a commit.
func (r Ref) fullName() string {
	switch {
	case r.Branch != "":
		return "refs/heads/" + r.Branch
	case r.Tag != "":
		return "refs/tags/" + r.Tag
	}
	return r.Name
}

// short is the name for a Revision, "" for a commit.
func (r Ref) short() string { return r.Branch + r.Tag + r.Name }

// validRefName follows git-check-ref-format(1).
func validRefName(name string) bool {
	if strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") ||
		strings.Contains(name, "@{") || name == "@" || strings.HasPrefix(name, "-") ||
		strings.HasSuffix(name, ".") || len(name) > 255 {
		return false
	}
	for _, r := range name {
		if r < ' ' {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

func isHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// Revision is one commit and the name under which it was found.
type Revision struct {
	// Ref is the short name of the branch or tag, the full name of any other
	// ref, "" for a bare commit.
	Ref string
	// Hash is the commit's SHA-1 in lower-case hexadecimal.
	Hash string
}

// String writes the revision as Flux does: "main@sha1:<hash>", for a bare
// commit "sha1:<hash>", for the zero Revision "".
func (r Revision) String() string {
	switch {
	case r.Hash == "":
		return ""
	case r.Ref == "":
		return "sha1:" + r.Hash
	}
	return r.Ref + "@sha1:" + r.Hash
}

// ParseRevision reads what String wrote, and a bare hash. The empty string is
// the zero Revision; anything else is ErrRefused.
func ParseRevision(s string) (Revision, error) {
	if s == "" {
		return Revision{}, nil
	}
	ref, digest := "", s
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		ref, digest = s[:i], s[i+1:]
		if !validRefName(ref) {
			return Revision{}, fail(ErrRefused, "revision %q: no ref before the @", clean(s))
		}
	}
	hash, typed := strings.CutPrefix(digest, "sha1:")
	if !isHash(hash) || (ref != "" && !typed) {
		return Revision{}, fail(ErrRefused, `revision %q: want "<ref>@sha1:<40 hexadecimal digits>"`, clean(s))
	}
	return Revision{Ref: ref, Hash: strings.ToLower(hash)}, nil
}

// CleanPath makes a Fleet's path one that an fs.FS accepts: "./fleet/" becomes
// "fleet", the empty path ".". Paths that are absolute or leave the repository
// are ErrRefused.
func CleanPath(p string) (string, error) {
	if strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\\\x00") {
		return "", fail(ErrRefused, "path %q: write it relative to the repository's root, with slashes", clean(p))
	}
	c := path.Clean(p)
	if c == ".." || strings.HasPrefix(c, "../") {
		return "", fail(ErrRefused, "path %q leaves the repository", clean(p))
	}
	return c, nil
}
