package review

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// ErrUnreadable says that what was kept cannot be read, and will not be by trying again. The message names the Secret and
// says what to do.
var ErrUnreadable = errors.New("not readable")

// errTorn says that what was kept changed while it was read.
var errTorn = errors.New("it was written while it was read")

// Get gives what was shown of a state of the Fleet's files; nil when nobody was shown it, ErrUnreadable when that cannot
// be told. Of several pull requests that lead to the same files it is one that still counts, and rather one that is merged;
// of those the one that was shown or merged last. One request, and one more for each further Secret that very many plans take.
func (s Store) Get(ctx context.Context, fleet client.ObjectKey, tree string) (*Reviewed, error) {
	var best *Reviewed
	err := s.again(func() error {
		var err error
		best, err = s.best(ctx, fleet, tree)
		return err
	})
	return best, err
}

func (s Store) best(ctx context.Context, fleet client.ObjectKey, tree string) (*Reviewed, error) {
	all := &corev1.SecretList{}
	if err := s.Reader.List(ctx, all, client.InNamespace(fleet.Namespace), client.MatchingLabels{
		v1alpha1.ReviewedLabel: labelOf(fleet.Name), v1alpha1.TreeLabel: treeOf(tree),
	}); err != nil {
		return nil, fmt.Errorf("reading the plans of Fleet %s that were reviewed: %w", fleet, err)
	}
	slices.SortStableFunc(all.Items, func(a, b corev1.Secret) int { return keptOf(&b).Put.Compare(keptOf(&a).Put) })
	var best *Reviewed
	var unreadable error
	for i := range all.Items {
		r, err := s.parse(ctx, &all.Items[i], tree)
		switch {
		case errors.Is(err, ErrUnreadable):
			unreadable = errors.Join(unreadable, err)
		case err != nil:
			return nil, err
		case best == nil || r.rank() > best.rank():
			best = r
		}
	}
	if unreadable != nil && (best == nil || best.rank() < merged) {
		return nil, unreadable // it may be the one that counts
	}
	return best, nil
}

// merged is the rank of what counts for certain.
const merged = 3

// rank orders what several pull requests showed of the same files.
func (r *Reviewed) rank() int {
	switch {
	case r.Served():
		return 0
	case r.Closed:
		return 1
	case r.Merged:
		return merged
	}
	return 2
}

// Shown gives what one pull request showed of a state of the Fleet's files; nil when nothing is kept.
func (s Store) Shown(ctx context.Context, fleet client.ObjectKey, tree string, number int) (*Reviewed, error) {
	var r *Reviewed
	err := s.again(func() error {
		var err error
		r, _, err = s.read(ctx, fleet, tree, number)
		return err
	})
	return r, err
}

// read gives the Secret also when that is not readable.
func (s Store) read(ctx context.Context, fleet client.ObjectKey, tree string, number int) (*Reviewed, *corev1.Secret, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: fleet.Namespace, Name: nameOf(fleet.Name, tree, number)}
	if err := s.Reader.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("reading Secret %s, the plan that was reviewed: %w", key, err)
	}
	r, err := s.parse(ctx, secret, tree)
	return r, secret, err
}

// parse puts together what a Secret and those that it names hold.
func (s Store) parse(ctx context.Context, secret *corev1.Secret, tree string) (*Reviewed, error) {
	h := header{}
	if err := unpack(secret.Data[keyHeader], &h); err != nil {
		return nil, broken(secret, err)
	}
	if h.APIVersion != packVersion || h.Tree != tree {
		return nil, broken(secret, fmt.Errorf("it is of the form %q for tree %q", h.APIVersion, h.Tree))
	}
	packed := slices.Clone(secret.Data[keyBody])
	for _, name := range h.Parts {
		part := &corev1.Secret{}
		err := s.Reader.Get(ctx, client.ObjectKey{Namespace: secret.Namespace, Name: name}, part)
		if apierrors.IsNotFound(err) {
			return nil, broken(secret, fmt.Errorf("%w, or Secret %s is gone", errTorn, name))
		}
		if err != nil {
			return nil, fmt.Errorf("reading Secret %s, a part of the plan that was reviewed: %w", name, err)
		}
		packed = append(packed, part.Data[keyBody]...)
	}
	if digest(packed) != h.Body {
		return nil, broken(secret, errors.New("its plans are not those that it names"))
	}
	r, err := unpacked(h, packed)
	if err != nil {
		return nil, broken(secret, err)
	}
	return r, nil
}

func broken(secret *corev1.Secret, err error) error {
	return fmt.Errorf("the Secret %s/%s, which keeps the plan that was reviewed, is %w: %w (delete it; while its pull request is open it is written again, otherwise the revision counts as not reviewed)",
		secret.Namespace, secret.Name, ErrUnreadable, err)
}
