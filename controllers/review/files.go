package review

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
)

// files of a pull request as they would be after its merge.
type files struct {
	// base is the tip of the branch that it goes to.
	base        gitsource.Snapshot
	decodedBase *fleet.Fleet
	// head is what the merge leaves; nil when that is not known, and mistakes say why.
	head      *fleet.Fleet
	mistakes  []view.Mistake
	conflicts int
	// revision of head for people.
	revision string
	// tree hash of the Fleet's path, and whether that is base's: then at most what lies elsewhere changes.
	tree     string
	sameTree bool
}

// read fetches a pull request and the branch that it goes to, and merges them as far as no line is touched by both.
func (p *pass) read(ctx context.Context, pull *forge.Pull) (*files, error) {
	dir, err := gitsource.CleanPath(p.Fleet.Spec.Git.Path)
	if err != nil {
		return nil, err
	}
	full := *pull
	if full.MergeBase == "" {
		if full, err = p.Forge.Pull(ctx, pull.Number); err != nil {
			return nil, fmt.Errorf("reading where it left %s: %w", pull.Base, err)
		}
	}
	switch {
	case full.Head != pull.Head:
		return nil, disagree("the forge lists it at commit %s and, asked for it alone, at %s", short(pull.Head), short(full.Head))
	case full.MergeBase == "":
		return nil, disagree("the forge names no commit at which %s left %s; they may have no history in common: rebase it", short(pull.Head), p.branch())
	}
	snaps, err := p.Source.Snapshots(ctx, gitsource.Ref{Branch: p.branch()}, gitsource.Ref{Name: pull.Ref}, gitsource.Ref{Commit: full.MergeBase})
	if errors.Is(err, gitsource.ErrRefNotFound) {
		return nil, disagree("the forge proposes commit %s as %s, which left %s at %s, and in Git there is no such ref or commit; %s",
			short(pull.Head), pull.Ref, p.branch(), short(full.MergeBase), ofMirrors)
	}
	if err != nil {
		return nil, err
	}
	base, head, left := snaps[0], snaps[1], snaps[2]
	if head.Revision.Hash != pull.Head {
		return nil, disagree("the forge proposes commit %s, and %s in Git is %s; %s", short(pull.Head), pull.Ref, short(head.Revision.Hash), ofMirrors)
	}
	f := &files{base: base, revision: head.String()}
	merged, err := f.merge(ctx, p.branch(), left, base, head)
	if err != nil {
		return nil, err
	}
	f.decodedBase = p.decodeBase(base, dir)
	if merged != nil {
		f.decode(*merged, base, dir, fleet.Options{Namespace: p.Fleet.Namespace, Cache: p.m.cache})
	}
	return f, nil
}

// merge gives the files after the merge; nil when that is not known.
func (f *files) merge(ctx context.Context, branch string, left, base, head gitsource.Snapshot) (*gitsource.Snapshot, error) {
	var err error
	if left.Revision.Hash != base.Revision.Hash {
		var conflicts []string
		if head, conflicts, err = gitsource.Merge(left, base, head); err == nil && len(conflicts) > 0 {
			f.conflicts = len(conflicts)
			for _, name := range conflicts {
				f.mistakes = append(f.mistakes, view.Mistake{Place: name, Message: fmt.Sprintf(
					"this pull request and %s both changed it, so what a merge leaves there is not known; merge %s into the branch, or rebase it, and the plan follows", branch, branch)})
			}
			return nil, nil
		}
	} else {
		err = head.Check(ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil {
		f.revision = head.String()
		return &head, nil
	}
	problems := gitsource.Problems(err)
	if len(problems) == 0 {
		return nil, err
	}
	for _, problem := range problems {
		f.mistakes = append(f.mistakes, view.Mistake{Place: problem.Path, Message: problem.Msg})
	}
	return nil, nil
}

// decode reads what is declared after the merge.
func (f *files) decode(merged, base gitsource.Snapshot, dir string, o fleet.Options) {
	if info, err := fs.Stat(merged.Files, dir); err != nil || !info.IsDir() {
		f.mistakes = append(f.mistakes, view.Mistake{Place: dir, Message: "spec.git.path of the Fleet is no directory any more; after the merge nothing would be read, and clusters would keep their last accepted state"})
		return
	}
	// Every mistake is in the Fleet, beside what is right.
	declared, _ := fleet.Decode(merged.Files, dir, o)
	f.head = &declared
	var err error
	if f.tree, err = merged.Tree(dir); err != nil {
		f.tree = ""
		return
	}
	before, err := base.Tree(dir)
	f.sameTree = err == nil && before == f.tree
}

// decodeBase reads what the branch declares now, once for all pull requests.
func (p *pass) decodeBase(base gitsource.Snapshot, dir string) *fleet.Fleet {
	if at := base.Revision.Hash + ":" + dir; p.m.base.commit != at {
		declared, _ := fleet.Decode(base.Files, dir, fleet.Options{Namespace: p.Fleet.Namespace, Cache: p.m.cache})
		p.m.base = decoded{commit: at, fleet: &declared}
	}
	return p.m.base.fleet
}

// touched names the clusters that are declared otherwise than on the branch, or no more, in order.
func (f *files) touched() []string {
	before, after := inputs(f.decodedBase), inputs(f.head)
	var names []string
	for name, digest := range after {
		if was, ok := before[name]; !ok || was != digest {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok && f.head != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// inputs are the digests of what clusters are made from, by name; empty for one with a mistake.
func inputs(f *fleet.Fleet) map[string]string {
	all := map[string]string{}
	if f == nil {
		return all
	}
	for _, c := range f.Clusters {
		digest := ""
		if c.Err == nil {
			digest = fleet.InputsDigest(c)
		}
		all[c.Object.Name] = digest
	}
	return all
}
