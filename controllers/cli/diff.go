package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// diffFlags of diff.
type diffFlags struct {
	connection
	base, head, cluster, fleet string
}

func newDiff() *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff [PATH]",
		Short: "Show what changes in the Cluster API objects, as unified YAML",
		Long: `With --base the objects of two revisions are compared, offline, in the Git clone around PATH (default: the current
directory): those of --base with those of --head, or with the files as they lie there. Templates stand under the names
that they have before the digest of their content is added. In a branch that is behind, compare with where it began:
--base "$(git merge-base main HEAD)".

Without --base the files (or those of --head) are compared with the management cluster: live objects are read, and each
change is tried as a server-side dry run with your own rights, so that what the API server fills in is no difference.
Nothing is written. With --fleet, clusters of that Fleet whose files are not below PATH are named.

The data of Secrets, passwords, tokens, keys and the contents of a machine's files are hidden; where they differ it says
"changed" and nothing else about them. What a change means for machines is what ` + "`refract plan`" + ` says.

Exit codes: 0 no difference, 1 differences, 2 an error, or mistakes in the files.`,
		Example: `  refract diff ./fleet --base main --head HEAD
  refract diff ./fleet --base main --cluster edge-01
  refract diff ./fleet --namespace clusters`,
		RunE: func(c *cobra.Command, args []string) error {
			path := "."
			if len(args) > 0 {
				path = args[0]
			}
			if len(args) > 1 {
				return onePath(c, args)
			}
			return f.run(c, path)
		},
	}
	f.bind(c.Flags())
	f.bindNamespace(c.Flags(), "namespace of the clusters; default: what the files say, else that of the context")
	c.Flags().StringVar(&f.base, "base", "", "revision to compare with: a branch, tag, commit or HEAD~2; default: the management cluster")
	c.Flags().StringVar(&f.head, "head", "", "revision whose files are meant; default: the files as they lie in PATH")
	c.Flags().StringVar(&f.cluster, "cluster", "", "compare this cluster only")
	c.Flags().StringVar(&f.fleet, "fleet", "", "Fleet whose clusters the files are compared with; not with --base")
	return c
}

func (f diffFlags) run(c *cobra.Command, path string) error {
	if f.base != "" && (f.fleet != "" || f.kubeconfig != "" || f.context != "") {
		return errors.New("--base compares files with files; leave out --kubeconfig, --context and --fleet, or --base")
	}
	head, err := declaredAt(c.Context(), path, f.head, f.namespace)
	if err != nil {
		return err
	}
	var d difference
	if f.base == "" {
		d, err = f.live(c.Context(), head)
	} else {
		d, err = f.offline(c.Context(), path, head)
	}
	if err != nil {
		return err
	}
	return d.report(c.OutOrStdout(), c.ErrOrStderr())
}

// declaredAt is what PATH declares at a revision of the clone around it, or without one as it lies there.
func declaredAt(ctx context.Context, path, revision, namespace string) (declared, error) {
	if revision == "" {
		return readFleet(path, namespace)
	}
	local, err := gitsource.OpenLocal(path)
	if err != nil {
		return declared{}, err
	}
	snapshot, err := local.Snapshot(ctx, revision)
	if err != nil {
		return declared{}, err
	}
	if _, err := fs.Stat(snapshot.Files, local.Path()); errors.Is(err, fs.ErrNotExist) {
		return declared{path: path, namespace: namespace}, nil // Not yet, or no longer: it declares nothing.
	}
	decoded, _ := fleet.Decode(snapshot.Files, local.Path(), fleet.Options{Namespace: namespace}) // its error joins decoded.Errors
	return declared{Fleet: decoded, path: path, namespace: namespace}, nil
}

// onBase stands before mistakes in the files of --base.
const onBase = "base: "

// difference is what was found.
type difference struct {
	text     objectDiffs
	mistakes []string
}

// wrong notes mistakes of one side.
func (d *difference) wrong(side string, mistakes []*build.Error) {
	for _, m := range mistakes {
		if line := side + m.Error(); !slices.Contains(d.mistakes, line) {
			d.mistakes = append(d.mistakes, line)
		}
	}
}

func (d *difference) report(out, errs io.Writer) error {
	if _, err := out.Write(d.text.buffer.Bytes()); err != nil {
		return fmt.Errorf("writing the difference: %w", err)
	}
	for _, m := range d.mistakes {
		if _, err := fmt.Fprintln(errs, m); err != nil {
			return err
		}
	}
	switch {
	case len(d.mistakes) > 0:
		return errFailed
	case d.text.found:
		return errFindings
	}
	return nil
}

// offline compares two revisions, or a revision with the files as they lie there.
func (f diffFlags) offline(ctx context.Context, path string, head declared) (difference, error) {
	var d difference
	base, err := declaredAt(ctx, path, f.base, f.namespace)
	if err != nil {
		return d, err
	}
	if base.empty() && head.empty() {
		return d, head.nothing()
	}
	was, is := f.chosen(base), f.chosen(head)
	if f.cluster != "" && len(was)+len(is) == 0 {
		return d, fmt.Errorf("PATH %s has no cluster %s in either revision; %s", path, f.cluster, head.names())
	}
	if f.cluster == "" {
		d.wrong(onBase, base.Errors)
		d.wrong("", head.Errors)
	}
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, had := was[name]
		after, has := is[name]
		switch {
		case before.Err != nil || after.Err != nil:
			d.wrong(onBase, build.Flatten(before.Place.Path, before.Err))
			d.wrong("", build.Flatten(after.Place.Path, after.Err))
			continue
		case !had && !base.Complete || !has && !head.Complete:
			continue // A file that is not understood may hold it; that is among the mistakes.
		case had && has && fleet.InputsDigest(before) == fleet.InputsDigest(after):
			continue
		}
		d.revisions(name, base.side(before, had, has), head.side(after, has, had))
	}
	return d, nil
}

func (f diffFlags) chosen(d declared) map[string]fleet.Cluster {
	chosen := map[string]fleet.Cluster{}
	for _, c := range d.Clusters {
		if f.cluster == "" || f.cluster == c.Object.Name {
			chosen[c.Object.Name] = c
		}
	}
	return chosen
}

// clusterSide is a cluster as one revision has it.
type clusterSide struct {
	unit     render.Unit
	objects  []*unstructured.Unstructured
	mistakes []*build.Error
}

// side renders a cluster of a revision; nothing where the revision has none. Where both have it, templates keep their
// base names, so that they are compared.
func (d declared) side(c fleet.Cluster, here, there bool) clusterSide {
	if !here {
		return clusterSide{}
	}
	r, mistakes := d.render(c)
	if there {
		r.objects = r.unit.Objects()
	}
	return clusterSide{unit: r.unit, objects: r.objects, mistakes: mistakes}
}

// revisions compares one cluster's objects of two revisions.
func (d *difference) revisions(name string, before, after clusterSide) {
	if len(before.mistakes)+len(after.mistakes) > 0 {
		d.wrong(onBase, before.mistakes)
		d.wrong("", after.mistakes)
		return
	}
	was := map[string]*unstructured.Unstructured{}
	for _, o := range before.objects {
		was[objectKey(o)] = o
	}
	for _, o := range after.objects {
		_ = d.text.add(name, after.unit.Origin(o), was[objectKey(o)], o)
		delete(was, objectKey(o))
	}
	for _, o := range before.objects {
		if was[objectKey(o)] != nil {
			_ = d.text.add(name, before.unit.Origin(o), o, nil)
		}
	}
}
