package review

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource/forge"
)

// approvable says whether approvals of pull requests count for this Fleet.
func (p *pass) approvable() bool { return len(p.Fleet.Spec.Review.Approvers) > 0 }

// hear reads who approved what was shown, and keeps it. A fork's pull request is not planned against what is live, and
// nobody's word on it counts.
func (p *pass) hear(ctx context.Context, pull *forge.Pull, k *known) error {
	if k.tree == "" || !p.approvable() || pull.Fork || k.head != pull.Head {
		return nil
	}
	words, err := p.words(ctx, pull)
	// What an earlier process kept may have been taken back since, so the first word is always passed on.
	if err != nil || k.heard && reflect.DeepEqual(words, k.approvals) {
		return err
	}
	if err := p.Store.Approve(ctx, p.key, k.tree, pull.Number, words); err != nil {
		return err
	}
	k.approvals, k.heard = words, true
	return nil
}

// words are the standing approvals of a pull request, with whom each stands for in Kubernetes and whether that user or
// group has the verb approve. The author's own word counts for nothing.
func (p *pass) words(ctx context.Context, pull *forge.Pull) ([]Approval, error) {
	var teams []string
	for _, a := range p.Fleet.Spec.Review.Approvers {
		if a.Team != "" && !slices.Contains(teams, a.Team) {
			teams = append(teams, a.Team)
		}
	}
	standing, err := p.Forge.Approvals(ctx, pull.Number, teams)
	if err != nil {
		return nil, fmt.Errorf("reading approvals: %w", err)
	}
	var words []Approval
	for _, one := range standing {
		if strings.EqualFold(one.User, pull.Author) {
			continue
		}
		word, err := p.word(ctx, one)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

// word is one approval with whom it stands for: of several mappings the first that may approve.
func (p *pass) word(ctx context.Context, of forge.Approval) (Approval, error) {
	word := Approval{Word: of.ID, User: of.User, Commit: of.Commit, At: of.At}
	for _, a := range p.Fleet.Spec.Review.Approvers {
		if !speaks(of, a) {
			continue
		}
		may, err := p.Live.May(ctx, a)
		if err != nil {
			return word, fmt.Errorf("asking whether %s may approve: %w", a.AsUser+a.AsGroup, err)
		}
		word.AsUser, word.AsGroup, word.Proved = a.AsUser, a.AsGroup, may
		if may {
			break
		}
	}
	return word, nil
}

// speaks says whether an approval is that of a mapped user or team. Forges take logins in any case.
func speaks(s forge.Approval, a v1alpha1.ReviewApprover) bool {
	if a.User != "" {
		return strings.EqualFold(a.User, s.User)
	}
	return slices.ContainsFunc(s.Teams, func(team string) bool { return strings.EqualFold(team, a.Team) })
}

// approvedBy names who approved all that is held; empty when something still waits.
func (p *pass) approvedBy(ctx context.Context, pull *forge.Pull, k *known) (string, error) {
	if k.tree == "" || len(k.approvals) == 0 {
		return "", nil
	}
	shown, err := p.Store.Shown(ctx, p.key, k.tree, pull.Number)
	if err != nil {
		return "", err
	}
	var by []string
	for _, cluster := range k.verdict.held {
		a := shown.Stands(cluster, p.Now())
		if a == nil {
			return "", nil
		}
		if !slices.Contains(by, a.User) {
			by = append(by, a.User)
		}
	}
	return strings.Join(by, ", "), nil
}
