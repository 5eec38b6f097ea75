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
	if err != nil || reflect.DeepEqual(words, k.approvals) {
		return err
	}
	if err := p.Store.Approve(ctx, p.key, k.tree, words); err != nil {
		return err
	}
	k.approvals = words
	return nil
}

// words are the standing approvals of a pull request, with whom each stands for in Kubernetes and whether that user or
// group has the verb approve. The author's own word counts for nothing.
func (p *pass) words(ctx context.Context, pull *forge.Pull) ([]Approval, error) {
	approvers := p.Fleet.Spec.Review.Approvers
	var teams []string
	for _, a := range approvers {
		if a.Team != "" && !slices.Contains(teams, a.Team) {
			teams = append(teams, a.Team)
		}
	}
	standing, err := p.Forge.Approvals(ctx, pull.Number, teams)
	if err != nil {
		return nil, fmt.Errorf("reading approvals: %w", err)
	}
	var words []Approval
	for _, s := range standing {
		if strings.EqualFold(s.User, pull.Author) {
			continue
		}
		word := Approval{User: s.User, Commit: s.Commit}
		for _, a := range approvers {
			if word.Proved || !speaks(s, a) {
				continue
			}
			word.AsUser, word.AsGroup = a.AsUser, a.AsGroup
			if word.Proved, err = p.Live.May(ctx, a); err != nil {
				return nil, fmt.Errorf("asking whether %s may approve: %w", a.AsUser+a.AsGroup, err)
			}
		}
		words = append(words, word)
	}
	return words, nil
}

// speaks says whether an approval is that of a mapped user or team. Forges take logins in any case.
func speaks(s forge.Approval, a v1alpha1.ReviewApprover) bool {
	if a.User != "" {
		return strings.EqualFold(a.User, s.User)
	}
	return slices.ContainsFunc(s.Teams, func(team string) bool { return strings.EqualFold(team, a.Team) })
}

// approvedBy names who approved all that is held; empty when something still waits.
func (p *pass) approvedBy(ctx context.Context, k *known) (string, error) {
	if k.tree == "" || len(k.approvals) == 0 {
		return "", nil
	}
	shown, err := p.Store.Get(ctx, p.key, k.tree)
	if err != nil {
		return "", err
	}
	var by []string
	for _, cluster := range k.verdict.held {
		a := shown.InForce(cluster, p.Now())
		if a == nil {
			return "", nil
		}
		if !slices.Contains(by, a.User) {
			by = append(by, a.User)
		}
	}
	return strings.Join(by, ", "), nil
}
