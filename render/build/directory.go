package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	kustresource "sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Directory builds the kustomization in dir and returns its objects in kustomize's order, each with its origin.
//
// Everything that the kustomization refers to, directly and through bases and components, is checked first, and every
// mistake found is reported, as *Error values joined and sorted by place: remote bases and git addresses, absolute
// paths and such that leave the snapshot, symbolic links that leave it, unknown fields, plugins, functions, Helm,
// openapi, files past the limits. Only then kustomize runs, on an in-memory copy of exactly the files referred to.
func Directory(files fs.FS, dir string) ([]Object, error) {
	dir = path.Clean(dir)
	from := Origin{Path: dir}
	resolved, err := Resolve(files, dir)
	if err != nil {
		return nil, At(dir, 0, err)
	}
	s := &scan{
		files: files, memory: filesys.MakeFsInMemory(), loaded: map[string]*kustomization{},
		docs: map[string][]Document{}, copied: map[string]bool{}, data: map[string][]byte{},
		expense: expense{sizes: map[string]int{}},
	}
	s.visit(resolved, from, 0)
	s.replace()
	if len(s.errs) > 0 {
		return nil, Join(Sort(s.errs))
	}
	root := s.loaded[resolved]
	asked := root.originAnnotations()
	for _, k := range s.loaded {
		k.modernise()
		s.rewrite(k)
	}
	if len(s.errs) > 0 {
		return nil, Join(Sort(s.errs))
	}
	built, err := run(s.memory, "/"+resolved)
	if err != nil {
		return nil, At(root.doc.Path, 0, err)
	}
	return s.objects(root, built, asked)
}

// rewrite gives kustomize the checked form of a kustomization.
func (s *scan) rewrite(k *kustomization) {
	text, err := yaml.Marshal(k.tree)
	if err != nil {
		s.fail(k.doc.Origin(), err)
		return
	}
	s.write(k.doc.Path, text, k.doc.Origin())
}

// run starts kustomize. It has panicked on hostile input before; here that is one more failed build.
func run(memory filesys.FileSystem, dir string) (built resmap.ResMap, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("kustomize build: %v", p)
		}
	}()
	options := &krusty.Options{
		Reorder:          krusty.ReorderOptionNone,
		LoadRestrictions: types.LoadRestrictionsNone, // the memory holds what may be read, and no more
		PluginConfig:     types.DisabledPluginConfig(),
	}
	built, err = krusty.MakeKustomizer(options).Run(memory, dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build: %w", err)
	}
	return built, nil
}

// originAnnotations has kustomize note where objects come from, and says whether the file itself asks for that.
func (k *kustomization) originAnnotations() bool {
	options, _ := k.tree["buildMetadata"].([]any) // another type is kustomize's to refuse
	if slices.Contains(options, any(types.OriginAnnotations)) {
		return true
	}
	if k.tree["buildMetadata"] == nil || options != nil {
		k.tree["buildMetadata"] = append(options, types.OriginAnnotations)
	}
	return false
}

func (s *scan) objects(root *kustomization, built resmap.ResMap, keepOrigin bool) ([]Object, error) {
	if built.Size() > MaxObjects {
		return nil, At(root.doc.Path, 0, fmt.Errorf("%d objects, more than %d: split the directory", built.Size(), MaxObjects))
	}
	out := make([]Object, 0, built.Size())
	var errs []*Error
	for _, r := range built.Resources() {
		origin := s.origin(root, r)
		if !keepOrigin {
			if err := r.SetOrigin(nil); err != nil {
				errs = append(errs, At(origin.Path, origin.Line, err))
				continue
			}
		}
		o, err := toObject(r)
		if err != nil {
			errs = append(errs, At(origin.Path, origin.Line, err))
			continue
		}
		out = append(out, Object{Unstructured: o, Origin: origin})
	}
	if len(errs) > 0 {
		return nil, Join(Sort(errs))
	}
	return out, nil
}

func toObject(r *kustresource.Resource) (*unstructured.Unstructured, error) {
	text, err := r.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("read what kustomize built: %w", err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("read what kustomize built: %w", err)
	}
	if len(o.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(o.Object, "metadata", "annotations")
	}
	return o, nil
}

// origin finds the document that an object comes from: kustomize says the file, and kind and name the document in it.
func (s *scan) origin(root *kustomization, r *kustresource.Resource) Origin {
	noted, err := r.GetOrigin()
	if err != nil || noted == nil {
		return root.doc.Origin()
	}
	if noted.ConfiguredIn != "" {
		return Origin{Path: path.Join(root.dir, noted.ConfiguredIn), Line: 1}
	}
	name := path.Join(root.dir, noted.Path)
	docs := s.docs[name]
	if len(docs) == 0 {
		return root.doc.Origin()
	}
	best := docs[0].Origin()
	for _, d := range docs {
		if d.Kind != r.GetKind() {
			continue
		}
		if d.Name == r.GetName() {
			return d.Origin()
		}
		if d.Name != "" && strings.Contains(r.GetName(), d.Name) { // prefix, suffix or hash added
			best = d.Origin()
		}
	}
	return best
}

// scan collects what a build refers to.
type scan struct {
	files  fs.FS
	memory filesys.FileSystem
	loaded map[string]*kustomization // by directory; nil when it could not be read
	docs   map[string][]Document     // of resource files
	copied map[string]bool
	data   map[string][]byte
	stack  []string

	visits, size, inline int

	expense expense
	errs    []*Error
}

func (s *scan) fail(from Origin, err error) {
	s.errs = append(s.errs, At(from.Path, from.Line, err))
}

// visit goes through dir and what it refers to, as often as it is referred to: that is what the build will cost. below is
// the number of objects that are there already, for a component; the result is that of what comes of it.
func (s *scan) visit(dir string, from Origin, below int) int {
	if slices.Contains(s.stack, dir) {
		s.fail(from, fmt.Errorf("directory %q refers to itself by way of %s", dir, strings.Join(s.stack, ", ")))
		return below
	}
	if s.visits++; s.visits >= MaxDirectories {
		if s.visits == MaxDirectories {
			s.fail(from, fmt.Errorf("more than %d kustomizations, counted as often as they are referred to", MaxDirectories))
		}
		return below
	}
	k := s.load(dir, from)
	if k == nil || s.expense.over {
		return below
	}
	s.charge(k, from)
	objects := below + k.cost.objects
	s.stack = append(s.stack, dir)
	defer func() { s.stack = s.stack[:len(s.stack)-1] }()
	for _, c := range k.children {
		if !c.component {
			objects += s.visit(c.dir, c.from, 0)
		}
	}
	for _, c := range k.children {
		if c.component {
			objects = s.visit(c.dir, c.from, objects)
		}
	}
	s.transform(k, objects)
	return objects
}

func (s *scan) isDir(name string) bool {
	info, err := fs.Stat(s.files, name)
	return err == nil && info.IsDir()
}

// read reads a file within the bounds of a build, once.
func (s *scan) read(name string, from Origin) ([]byte, bool) {
	if data, ok := s.data[name]; ok {
		return data, data != nil
	}
	s.data[name] = nil
	if len(s.data) > MaxBuildFiles {
		if len(s.data) == MaxBuildFiles+1 {
			s.fail(from, fmt.Errorf("more than %d files in one build", MaxBuildFiles))
		}
		return nil, false
	}
	data, err := ReadFile(s.files, name)
	if err != nil {
		s.fail(from, err)
		return nil, false
	}
	if s.size += len(data); s.size > MaxBuildBytes {
		s.fail(from, fmt.Errorf("more than %d MiB of files in one build", MaxBuildBytes>>20))
		return nil, false
	}
	if data == nil {
		data = []byte{}
	}
	s.data[name] = data
	return data, true
}

// copyFile puts a file into the memory that kustomize reads.
func (s *scan) copyFile(name string, from Origin) ([]byte, bool) {
	data, ok := s.read(name, from)
	if ok && !s.copied[name] {
		s.copied[name] = true
		s.write(name, data, from)
	}
	return data, ok
}

// copyYAML is copyFile for a file that must be sound YAML.
func (s *scan) copyYAML(k *kustomization, name string, from Origin) ([]Document, bool) {
	data, ok := s.copyFile(name, from)
	if !ok {
		return nil, false
	}
	docs, err := Split(name, data)
	if err != nil {
		s.fail(Origin{Path: name}, err)
		return nil, false
	}
	if !s.mention(k, docs, from) {
		return nil, false
	}
	for _, d := range docs {
		v, errs := d.Value()
		s.errs = append(s.errs, errs...)
		if m, ok := v.(map[string]any); ok {
			s.functions(d, m)
		}
	}
	return docs, true
}

// functions refuses what would be a program to kustomize.
func (s *scan) functions(d Document, m map[string]any) {
	annotations, _, _ := unstructured.NestedMap(m, "metadata", "annotations") // another type is no function
	for _, name := range []string{"config.kubernetes.io/function", "config.k8s.io/function"} {
		if _, ok := annotations[name]; ok {
			line := d.LineOf("metadata.annotations[" + name + "]")
			s.fail(Origin{Path: d.Path, Line: line}, fmt.Errorf("annotation %s is refused: functions are not run", name))
		}
	}
}

func (s *scan) write(name string, data []byte, from Origin) {
	if err := s.memory.WriteFile("/"+name, data); err != nil {
		s.fail(from, err)
	}
}

// patchText checks a patch that stands in the kustomization itself.
func (s *scan) patchText(k *kustomization, from Origin, text string) {
	docs, err := Split(from.Path, []byte(text))
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			err = e.Err
		}
		s.fail(from, err)
		return
	}
	if s.mention(k, docs, from) {
		s.patches(k, docs, from)
	}
}

// patches charges what patches may do to each object that they select: put their text into it, or double it.
func (s *scan) patches(k *kustomization, docs []Document, from Origin) {
	for _, d := range docs {
		v, _ := d.Value()
		k.cost.copies += copyOperations(v)
		k.cost.text += d.bytes
	}
	s.within(k.cost, from)
}
