package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// readFiles decodes the YAML files below root one by one. Links come last: a file is read once.
func (d *decoder) readFiles(root string) {
	links := d.walk(root, true)
	slices.Sort(links)
	for _, name := range links {
		d.follow(name)
	}
}

// walk goes through the files below root. Reading means to decode them; else they are only looked over for what should
// have been read. It returns the links.
func (d *decoder) walk(root string, reading bool) (links []string) {
	err := fs.WalkDir(d.files, root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			d.incomplete(name, fmt.Errorf("read the directory: %w", err))
		case entry.IsDir():
			return d.enter(root, name, reading)
		case entry.Type()&fs.ModeSymlink != 0:
			links = append(links, name)
		case !isYAML(name):
		case !d.count(root):
			return fs.SkipAll
		case reading:
			d.readFile(name, name)
		default:
			d.lookOver(name)
		}
		return nil
	})
	if err != nil {
		d.incomplete(root, fmt.Errorf("read the directory: %w", err))
	}
	return links
}

// enter says whether the walk goes on below a directory.
func (d *decoder) enter(root, name string, reading bool) error {
	switch {
	case !reading && (d.looked[name] || d.referred[name]):
		return fs.SkipDir
	case !reading:
		d.looked[name] = true
	case name != root && build.IsKustomization(d.files, name):
		d.skipped = append(d.skipped, name)
		return fs.SkipDir
	}
	return nil
}

// count counts a file that is read; false when there are too many.
func (d *decoder) count(root string) bool {
	d.counted++
	if d.counted == MaxFiles+1 {
		d.incomplete(root, fmt.Errorf("more than %d YAML files: use several Fleets", MaxFiles))
	}
	return d.counted <= MaxFiles
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// follow reads the file that a link leads to, unless it has been read. Directories are not read through links, but
// looked over.
func (d *decoder) follow(name string) {
	resolved, err := build.Resolve(d.files, name)
	if err != nil {
		d.incomplete(name, err)
		return
	}
	info, err := fs.Stat(d.files, resolved)
	switch {
	case err != nil:
		d.incomplete(name, err)
	case info.IsDir():
		d.linked = append(d.linked, resolved)
		d.ignored = append(d.ignored, name)
	case isYAML(name) && !d.seen[resolved] && d.count(name):
		d.readFile(name, resolved)
	}
}

// judgeSkipped looks over the directories that were skipped as layers and are none, and those behind links: a cluster
// whose file is in one of them is not gone, it is only not read.
func (d *decoder) judgeSkipped() {
	for _, dir := range d.skipped {
		if !d.referred[dir] {
			d.ignored = append(d.ignored, dir+"/")
			d.linked = append(d.linked, dir)
		}
	}
	slices.Sort(d.linked)
	for len(d.linked) > 0 {
		dir := d.linked[0]
		d.linked = d.linked[1:]
		for _, link := range d.walk(dir, false) {
			d.lookBehind(link)
		}
	}
}

// lookBehind looks over what a link in a directory that is not read leads to.
func (d *decoder) lookBehind(link string) {
	resolved, err := build.Resolve(d.files, link)
	if err != nil {
		return // nothing here could be read before
	}
	info, err := fs.Stat(d.files, resolved)
	switch {
	case err != nil:
	case info.IsDir():
		d.linked = append(d.linked, resolved)
	case isYAML(link) && d.count(link):
		d.lookOver(resolved)
	}
}

// lookOver makes the Fleet incomplete when a file that is not read holds something of ours. Fleets are never read.
func (d *decoder) lookOver(name string) {
	if d.seen[name] || d.referred[name] {
		return
	}
	d.seen[name] = true
	c, err := d.contents(name)
	if err != nil {
		d.incomplete(name, err)
		return
	}
	for _, i := range c.items {
		if i.kind != v1alpha1.FleetKind {
			d.incomplete(name, build.At(name, i.doc.Line, fmt.Errorf(
				"%s %s is not read here: its directory has a kustomization.yaml of its own or is behind a symbolic link: move the file or that out", i.kind, i.name)))
		}
	}
	for _, e := range c.unknown {
		d.incomplete(name, e)
	}
	if c.broken != nil && c.mentions {
		d.incomplete(name, c.broken)
	}
}

// nodeCost is how much larger a parsed file is than its text, roughly.
const nodeCost = 20

// contents are what a file holds, decoded.
type contents struct {
	items    []*item
	ignored  []string
	broken   error    // not YAML
	mentions bool     // our API group
	unknown  []*Error // documents of ours that could not be understood
}

// contents decodes a file, or takes it from the cache.
func (d *decoder) contents(name string) (contents, error) {
	key := ""
	if h, ok := d.files.(hasher); ok && d.options.Cache != nil {
		if hash, err := h.Hash(name); err == nil {
			key = "file\x00" + name + "\x00" + hash
		}
	}
	if c, ok := get[contents](d.options.Cache, key); ok {
		return c, nil
	}
	data, err := build.ReadFile(d.files, name)
	if err != nil {
		return contents{}, err
	}
	c := d.parse(name, data)
	put(d.options.Cache, key, c, nodeCost*len(data))
	return c, nil
}

// readFile takes up what a file holds; resolved is where its links lead to.
func (d *decoder) readFile(name, resolved string) {
	d.seen[resolved] = true
	c, err := d.contents(name)
	if err != nil {
		d.incomplete(name, err)
		return
	}
	for _, i := range c.items {
		d.add(i.copy())
	}
	d.ignored = append(d.ignored, c.ignored...)
	if c.broken != nil {
		d.broken[name] = c.broken
	}
	for _, e := range c.unknown {
		d.incomplete(name, e)
	}
}

func (d *decoder) parse(name string, data []byte) contents {
	docs, err := build.Split(name, data)
	c := contents{broken: err, mentions: bytes.Contains(data, []byte(v1alpha1.GroupVersion.Group))}
	others := 0
	for _, doc := range docs {
		if !ours(doc.APIVersion) {
			others++
			c.unknown = append(c.unknown, listed(doc)...)
			continue
		}
		object, errs := doc.Object()
		i, err := decode(d.schemas, doc, object)
		if err != nil {
			c.unknown = append(c.unknown, build.At(name, doc.Line, err))
			continue
		}
		i.errs = append(i.errs, errs...)
		c.items = append(c.items, i)
	}
	switch {
	case others > 0 && others == len(docs):
		c.ignored = []string{name}
	case others > 0:
		for _, doc := range docs {
			if !ours(doc.APIVersion) {
				c.ignored = append(c.ignored, doc.Origin().String())
			}
		}
	}
	return c
}

// listed refuses objects of ours inside a List, as kubectl get writes them: they would be overlooked.
func listed(doc build.Document) []*Error {
	value, _ := doc.Value()
	at, found := nested(value, "")
	if !found {
		return nil
	}
	return []*Error{build.At(doc.Path, doc.LineOf(at),
		errors.New("an object of refract.dev inside a List is not read: write it as a document of its own"))}
}

// nested finds an object of ours among the items of a list, or of lists in it.
func nested(value any, at string) (field string, found bool) {
	items, isList := value.([]any)
	if m, ok := value.(map[string]any); ok {
		if version, ok := m["apiVersion"].(string); ok && ours(version) {
			return at, true
		}
		items, isList = m["items"].([]any)
		at = strings.TrimPrefix(at+".items", ".")
	}
	if !isList {
		return "", false
	}
	for n, item := range items {
		if field, found = nested(item, fmt.Sprintf("%s[%d]", at, n)); found {
			return field, true
		}
	}
	return "", false
}
