package build

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
)

// kustomization is one kustomization file, checked and rewritten: every entry is a clean relative path to a file or
// directory that exists in the snapshot.
type kustomization struct {
	doc      Document
	dir      string
	tree     map[string]any
	cost     cost
	children []child // kustomizations that it refers to
}

// child is a directory that a kustomization refers to, and where it does so.
type child struct {
	dir       string
	from      Origin
	component bool // it changes the objects of who refers to it
}

// reader handles one field of a kustomization: it checks the value and returns the one that kustomize gets to see.
type reader func(s *scan, k *kustomization, field string, value any) any

// keep passes a value on that names no file.
func keep(_ *scan, _ *kustomization, _ string, value any) any { return value }

// readers has every field that kustomize knows. Keys count by their exact spelling: kustomize would also take
// "Resources".
func readers() map[string]reader {
	out := map[string]reader{
		"resources":             list(resource),
		"bases":                 list(resource),
		"components":            list(component),
		"crds":                  list(yamlFile),
		"configurations":        list(yamlFile),
		"patchesStrategicMerge": list(strategicMerge),
		"patches":               list(patch),
		"patchesJson6902":       list(patch),
		"replacements":          list(replacement),
		"configMapGenerator":    list(generator),
		"secretGenerator":       list(generator),

		"vars":                        refuse("they can grow without bound; use replacements"),
		"openapi":                     refuse("it changes the schemas of every other build in the process; write JSON6902 patches instead"),
		"generators":                  refuse("plugins are not run; use configMapGenerator, secretGenerator or plain files"),
		"transformers":                refuse("plugins are not run; use patches, labels, images or replacements"),
		"validators":                  refuse("plugins are not run; check the files before they are committed"),
		"helmCharts":                  refuse("Helm is not run; commit the output of helm template"),
		"helmGlobals":                 refuse("Helm is not run; commit the output of helm template"),
		"helmChartInflationGenerator": refuse("Helm is not run; commit the output of helm template"),
	}
	for _, field := range []string{
		"apiVersion", "kind", "metadata", "namePrefix", "nameSuffix", "namespace", "commonLabels", "labels",
		"commonAnnotations", "images", "imageTags", "replicas", "sortOptions", "generatorOptions", "buildMetadata",
	} {
		out[field] = keep
	}
	return out
}

// load reads and checks the kustomization of dir once; nil when that is not possible.
func (s *scan) load(dir string, from Origin) *kustomization {
	if k, ok := s.loaded[dir]; ok {
		return k
	}
	s.loaded[dir] = nil
	var found []string
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if _, err := Resolve(s.files, path.Join(dir, name)); err == nil {
			found = append(found, path.Join(dir, name))
		} else if !errors.Is(err, ErrNotFound) {
			s.fail(from, err)
			return nil
		}
	}
	switch len(found) {
	case 0:
		s.fail(from, fmt.Errorf("directory %q has no kustomization.yaml", dir))
		return nil
	case 1:
	default:
		s.fail(Origin{Path: found[1]}, fmt.Errorf("directory %q has several kustomization files (%s): keep one", dir, strings.Join(found, ", ")))
		return nil
	}
	doc, tree := s.parse(found[0])
	if tree == nil {
		return nil
	}
	k := &kustomization{doc: doc, dir: dir, tree: tree}
	k.cost.text = doc.bytes
	for _, field := range []string{"namePrefix", "nameSuffix", "namespace"} {
		affix, _ := tree[field].(string) // another type is kustomize's to refuse
		k.cost.affixes += len(affix)
	}
	s.mention(k, []Document{doc}, doc.Origin())
	s.check(k)
	s.loaded[dir] = k
	return k
}

// parse reads a kustomization file of one document.
func (s *scan) parse(name string) (Document, map[string]any) {
	data, ok := s.read(name, Origin{Path: name})
	if !ok {
		return Document{}, nil
	}
	docs, err := Split(name, data)
	switch {
	case err != nil:
		s.fail(Origin{Path: name}, err)
	case len(docs) == 0:
		s.fail(Origin{Path: name}, errors.New("the kustomization is empty: list its resources"))
	case len(docs) > 1:
		s.fail(docs[1].Origin(), errors.New("a kustomization has one document"))
	default:
		tree, errs := docs[0].Object()
		s.errs = append(s.errs, errs...)
		return docs[0], tree
	}
	return Document{}, nil
}

// check goes through the fields of a kustomization, in the order of their names.
func (s *scan) check(k *kustomization) {
	known := readers()
	for _, field := range slices.Sorted(maps.Keys(k.tree)) {
		read, ok := known[field]
		if !ok {
			s.fail(k.at(field), unknown(field, slices.Sorted(maps.Keys(known))))
			continue
		}
		if k.tree[field] != nil {
			k.tree[field] = read(s, k, field, k.tree[field])
		}
	}
}

// at is the place of a field.
func (k *kustomization) at(field string) Origin {
	return Origin{Path: k.doc.Path, Line: k.doc.LineOf(field)}
}

// modernise moves what kustomize calls deprecated to where it also puts it, so that it has nothing to warn about on
// standard error.
func (k *kustomization) modernise() {
	move := func(from, to string, first bool, change func(any) any) {
		items, ok := k.tree[from].([]any)
		if !ok {
			return
		}
		moved := make([]any, 0, len(items))
		for _, item := range items {
			moved = append(moved, change(item))
		}
		others, _ := k.tree[to].([]any) // another type is kustomize's to refuse
		if first {
			moved, others = others, moved
		}
		k.tree[to] = slices.Concat(others, moved)
		delete(k.tree, from)
	}
	same := func(v any) any { return v }
	move("bases", "resources", false, same)
	move("imageTags", "images", false, same)
	move("patchesStrategicMerge", "patches", true, func(v any) any { return map[string]any{"path": v} })
	if labels, ok := k.tree["commonLabels"].(map[string]any); ok {
		k.tree["commonLabels"] = []any{map[string]any{"pairs": labels, "includeSelectors": true}}
		move("commonLabels", "labels", false, same)
	}
}

func unknown(field string, known []string) error {
	if near := Nearest(field[strings.LastIndexAny(field, ".")+1:], known); near != "" {
		return fmt.Errorf("unknown field %s: did you mean %s?", field, near)
	}
	return fmt.Errorf("unknown field %s", field)
}

func refuse(reason string) reader {
	return func(s *scan, k *kustomization, field string, value any) any {
		s.fail(k.at(field), fmt.Errorf("%s is refused: %s", field, reason))
		return value
	}
}

// list reads each item of a list.
func list(item reader) reader {
	return func(s *scan, k *kustomization, field string, value any) any {
		items, ok := value.([]any)
		if !ok {
			s.fail(k.at(field), fmt.Errorf("%s must be a list", field))
			return value
		}
		out := make([]any, len(items))
		for i, v := range items {
			out[i] = item(s, k, fmt.Sprintf("%s[%d]", field, i), v)
		}
		return out
	}
}

// entry resolves a path that the kustomization names. ok is false when it is refused.
func (s *scan) entry(k *kustomization, field string, value any) (name string, ok bool) {
	raw, isText := value.(string)
	if !isText {
		s.fail(k.at(field), fmt.Errorf("%s must be a path", field))
		return "", false
	}
	name, err := Local(k.dir, raw)
	if err == nil {
		name, err = Resolve(s.files, name)
	}
	if err == nil {
		return name, true
	}
	if errors.Is(err, ErrNotFound) && looksRemote(raw) {
		err = fmt.Errorf("%w; if it is meant as a remote address: nothing is fetched, copy it into the repository", err)
	}
	s.fail(k.at(field), fmt.Errorf("%s: %w", field, err))
	return "", false
}

// relative writes a path of the snapshot as seen from the kustomization's directory. The leading dots also keep
// kustomize from taking it for an address.
func (k *kustomization) relative(name string) string {
	if k.dir == "." {
		return "./" + name
	}
	return strings.Repeat("../", strings.Count(k.dir, "/")+1) + name
}

func resource(s *scan, k *kustomization, field string, value any) any {
	name, ok := s.entry(k, field, value)
	if !ok {
		return value
	}
	if s.isDir(name) {
		k.children = append(k.children, child{dir: name, from: k.at(field)})
		return k.relative(name)
	}
	if docs, ok := s.copyYAML(k, name, k.at(field)); ok {
		s.docs[name] = docs
		s.holds(k, docs)
	}
	return k.relative(name)
}

func component(s *scan, k *kustomization, field string, value any) any {
	name, ok := s.entry(k, field, value)
	if !ok {
		return value
	}
	if !s.isDir(name) {
		s.fail(k.at(field), fmt.Errorf("%s: %q is not a directory with a kustomization.yaml of kind Component", field, name))
		return value
	}
	k.children = append(k.children, child{dir: name, from: k.at(field), component: true})
	return k.relative(name)
}

func yamlFile(s *scan, k *kustomization, field string, value any) any {
	name, ok := s.entry(k, field, value)
	if !ok {
		return value
	}
	if docs, ok := s.copyYAML(k, name, k.at(field)); ok && len(docs) == 0 {
		s.fail(k.at(field), fmt.Errorf("%s: %q is empty", field, name))
	}
	return k.relative(name)
}

// strategicMerge takes a path or the patch itself. The latter becomes a file in memory, so that kustomize has no text
// to take for an address.
func strategicMerge(s *scan, k *kustomization, field string, value any) any {
	raw, ok := value.(string)
	if !ok || !strings.ContainsAny(raw, "\n:{") || remote(raw) {
		return patchFile(s, k, field, value)
	}
	s.patchText(k, k.at(field), raw)
	s.inline++
	name := inlineName(k.dir, s.inline)
	s.write(name, []byte(raw), k.at(field))
	return k.relative(name)
}

func patchFile(s *scan, k *kustomization, field string, value any) any {
	name, ok := s.entry(k, field, value)
	if !ok {
		return value
	}
	if docs, ok := s.copyYAML(k, name, k.at(field)); ok {
		s.patches(k, docs, k.at(field))
	}
	return k.relative(name)
}

func patch(s *scan, k *kustomization, field string, value any) any {
	m, ok := s.fields(k, field, value, "path", "patch", "target", "options")
	if !ok {
		return value
	}
	if p, ok := m["path"]; ok {
		m["path"] = patchFile(s, k, field+".path", p)
	}
	if text, ok := m["patch"].(string); ok {
		s.patchText(k, k.at(field+".patch"), text)
	}
	if m["options"] != nil { // a patch may then change names
		k.cost.affixes += k.cost.text
	}
	return m
}

func replacement(s *scan, k *kustomization, field string, value any) any {
	m, ok := s.fields(k, field, value, "path", "source", "sourceValue", "targets")
	if !ok {
		return value
	}
	if p, ok := m["path"]; ok {
		m["path"] = replacementFile(s, k, field+".path", p)
	} else {
		k.replacements(m, k.at(field))
	}
	return m
}

func replacementFile(s *scan, k *kustomization, field string, value any) any {
	name, ok := s.entry(k, field, value)
	if !ok {
		return value
	}
	docs, _ := s.copyYAML(k, name, k.at(field)) // reported
	for _, d := range docs {
		v, _ := d.Value()
		k.replacements(v, k.at(field))
	}
	return k.relative(name)
}

// fields returns a map's fields if they are all known, by their exact spelling.
func (s *scan) fields(k *kustomization, field string, value any, known ...string) (map[string]any, bool) {
	m, ok := value.(map[string]any)
	if !ok {
		s.fail(k.at(field), fmt.Errorf("%s must be a map", field))
		return nil, false
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, key) {
			s.fail(k.at(field+"."+key), unknown(field+"."+key, known))
			ok = false
		}
	}
	return m, ok
}
