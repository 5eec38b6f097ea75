package fleet

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// Options of Decode; the zero value is usable.
type Options struct {
	// Cache of decoded files and built layers, for files that say their hash. Nil: nothing is kept.
	Cache *Cache
	// Namespace that metadata.namespace must name when it is set. Empty: any, but only one.
	Namespace string
}

// Decode reads what the directory dir of files declares.
//
// When dir has a kustomization.yaml it is built, and one mistake in that build holds the whole Fleet. Otherwise the
// *.yaml and *.yml files below it are read one by one, but for directories with a kustomization.yaml of their own:
// these are layers, read when something refers to them.
//
// The Fleet is always usable. The error joins Fleet.Errors and is nil when there are none. A mistake holds back its
// own object and the clusters that use it; what could not be understood at all makes the Fleet incomplete, and then a
// range of versions is not resolved either, because the version it would resolve to may be in that file.
func Decode(files fs.FS, dir string, o Options) (Fleet, error) {
	all, err := schemas()
	if err != nil {
		return Fleet{}, fmt.Errorf("this build of Refract is broken: %w", err)
	}
	d := &decoder{
		files: files, options: o, schemas: all, complete: true,
		broken: map[string]error{}, referred: map[string]bool{}, builds: map[string][]build.Object{},
		looked: map[string]bool{}, seen: map[string]bool{},
	}
	d.read(dir)
	accounts, profiles, clusters := d.accounts(), d.profiles(), d.clusters()
	d.namespaces()
	d.judgeUnread()
	d.resolve(accounts, profiles, clusters)
	return d.fleet(accounts, profiles, clusters)
}

// decoder holds what one call of Decode has found so far.
type decoder struct {
	files    fs.FS
	options  Options
	schemas  map[string]*schema
	items    []*item
	ignored  []string
	errs     []*Error // of no item
	complete bool
	broken   map[string]error // files that are not YAML, until it is known whether they are patches
	referred map[string]bool  // files and directories that a spec refers to
	skipped  []string         // directories with a kustomization of their own
	linked   []string         // directories to be looked over
	looked   map[string]bool  // directories that have been
	seen     map[string]bool  // files that have been read or looked over
	counted  int
	builds   map[string][]build.Object
}

// item is one document of ours.
type item struct {
	doc    build.Document
	kind   string
	name   string
	object any // *v1alpha1.…, with defaults
	fields build.Lines
	moved  bool // a kustomization made more of the document than its file says
	errs   []*Error
}

func (i *item) place() Place { return i.doc.Origin() }

func (i *item) String() string { return i.place().String() }

// first is the first mistake, in the order of places.
func (i *item) first() *Error {
	i.errs = build.Sort(i.errs)
	return i.errs[0]
}

// fail notes a mistake at a field of the item.
func (i *item) fail(field string, format string, args ...any) {
	i.failAt(build.Origin{Path: i.doc.Path, Line: i.doc.LineOf(field)}, fmt.Errorf(format, args...))
}

func (i *item) failAt(at build.Origin, err error) {
	i.errs = append(i.errs, build.At(at.Path, at.Line, err))
}

func (i *item) err() error {
	i.errs = build.Sort(i.errs)
	return build.Join(i.errs)
}

// incomplete notes a mistake that leaves unknown what is there.
func (d *decoder) incomplete(path string, err error) {
	d.complete = false
	d.errs = append(d.errs, build.Flatten(path, err)...)
}

// ofKind returns the items of a kind that have a name, sorted by it. Names that are there twice are mistakes of both.
func (d *decoder) ofKind(kind string) []*item {
	var out []*item
	for _, i := range d.items {
		if i.kind == kind && i.name != "" {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.doc.Path, b.doc.Path), cmp.Compare(a.doc.Line, b.doc.Line))
	})
	for n, i := range out {
		for _, other := range out[n+1:] {
			if i.name != other.name {
				break
			}
			i.fail("metadata.name", "%s %s is declared twice, also in %s: keep one", kind, i.name, other)
			other.fail("metadata.name", "%s %s is declared twice, also in %s: keep one", kind, i.name, i)
		}
	}
	return out
}

// namespaces checks that a Fleet stays in one namespace.
func (d *decoder) namespaces() {
	want, by := d.options.Namespace, "the Fleet's namespace"
	for _, i := range d.items {
		ns := i.doc.Namespace
		if ns == "" || i.kind == v1alpha1.FleetKind {
			continue
		}
		if want == "" {
			want, by = ns, "that of "+i.String()
		}
		if ns != want {
			i.fail("metadata.namespace", "metadata.namespace is %q, but %s is %q: leave it out; a Fleet writes in its own namespace only", ns, by, want)
		}
	}
}

// judgeUnread reports files that are not YAML and that nothing refers to: they may declare anything. One that is
// referred to is a mistake of who does.
func (d *decoder) judgeUnread() {
	d.judgeSkipped()
	for name, err := range d.broken {
		if !d.referred[name] {
			d.incomplete(name, err)
		}
	}
}

func (d *decoder) fleet(accounts []*accountItem, profiles []*profileItem, clusters []*clusterItem) (Fleet, error) {
	f := Fleet{Complete: d.complete, Ignored: d.ignored}
	slices.Sort(f.Ignored)
	errs := slices.Clone(d.errs)
	for _, i := range d.items {
		errs = append(errs, i.errs...)
	}
	f.Errors = build.Sort(errs)
	f.Accounts = make([]Account, len(accounts))
	f.Profiles = make([]Profile, len(profiles))
	f.Clusters = make([]Cluster, len(clusters))
	for n, a := range accounts {
		a.Err = a.err()
		f.Accounts[n] = a.Account
		a.at = &f.Accounts[n]
	}
	slices.SortStableFunc(profiles, func(a, b *profileItem) int {
		return cmp.Or(cmp.Compare(a.Object.Spec.Profile, b.Object.Spec.Profile), a.version.Compare(b.version), cmp.Compare(a.name, b.name))
	})
	for n, p := range profiles {
		p.Err = p.err()
		f.Profiles[n] = p.Profile
		p.at = &f.Profiles[n]
	}
	for n, c := range clusters {
		c.Err = c.err()
		if c.account != nil {
			c.Account = c.account.at
		}
		for _, p := range c.profiles {
			c.Profiles = append(c.Profiles, p.at)
		}
		f.Clusters[n] = c.Cluster
	}
	return f, build.Join(f.Errors)
}
