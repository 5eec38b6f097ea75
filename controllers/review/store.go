package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Bounds of what is kept of a Fleet.
const (
	// MaxKept is how many states of a Fleet's files are kept beside those that open pull requests show now: what was put
	// longest ago goes.
	MaxKept = 50
	// KeptFor is how long what was shown is kept after it was last put.
	KeptFor = 30 * 24 * time.Hour
)

// chunk is how many bytes of plans one Secret holds, 768 KiB: a Secret holds 1 MiB, names and approvals included.
const chunk = 768 << 10

// Keys of a Secret, and annotations of the first one.
const (
	keyHeader      = "review"
	keyBody        = "plans"
	pullAnnotation = "refract.dev/pull-request" // number/head commit/tree
	putAnnotation  = "refract.dev/put-at"
	overAnnotation = "refract.dev/over"  // true: nobody is asked about the pull request any more
	bodyAnnotation = "refract.dev/plans" // the digest's beginning, as in the names of further Secrets
)

// bodyDigits is how much of a digest names the plans.
const bodyDigits = 8

// Store keeps what pull requests showed of Fleets: gzipped JSON in Secrets beside each Fleet, one for each state of its
// files, by the Git tree hash of its path, and pull request that leads to it. Whoever may read those Secrets reads plans,
// as with the records of clusters.
type Store struct {
	// Client writes.
	Client client.Client
	// Reader reads past any cache.
	Reader client.Reader
	// Now is the clock.
	Now func() time.Time
	// Changed, where it is set, is told of what Put, Approve and Merge wrote.
	Changed func(fleet client.ObjectKey, tree string)
}

// Kept names what is kept of one state of a Fleet's files.
type Kept struct {
	// Tree hash of the Fleet's path.
	Tree string
	// Number and Head commit of the pull request.
	Number int
	Head   string
	// Put is when it was last shown.
	Put time.Time
	// Over: the pull request was merged or closed, and the last word of it is kept.
	Over bool
}

// Put keeps what a pull request shows now. The same again is not written; what was first shown when, and the approvals
// of the same commit, stay from what was kept for the tree, or else for the same commit before the base moved. What
// is not readable is written anew. Only plans made against what is live are worth keeping.
func (s Store) Put(ctx context.Context, fleet client.ObjectKey, r Reviewed) error {
	if r.Tree == "" {
		return errors.New("keeping a reviewed plan: it has no tree hash")
	}
	return s.again(func() error { return s.put(ctx, fleet, r) })
}

func (s Store) tell(fleet client.ObjectKey, tree string) {
	if s.Changed != nil {
		s.Changed(fleet, tree)
	}
}

func (s Store) put(ctx context.Context, fleet client.ObjectKey, r Reviewed) error {
	before, secret, err := s.read(ctx, fleet, r.Tree, r.Number)
	spoilt := errors.Is(err, ErrUnreadable)
	if spoilt {
		err = nil
	}
	if err == nil && before == nil {
		before, err = s.beforeTheBaseMoved(ctx, fleet, r)
	}
	if err != nil {
		return err
	}
	r.after(before, s.Now())
	packed, err := r.packed()
	if err != nil {
		return fmt.Errorf("packing what pull request #%d shows: %w", r.Number, err)
	}
	h := r.header()
	h.Put, h.Body = s.Now().UTC().Truncate(time.Second), digest(packed)
	if secret != nil && !spoilt && unchanged(secret, h) {
		return nil
	}
	chunks := slices.Collect(slices.Chunk(packed, chunk))
	for n, part := range chunks[1:] {
		name := fmt.Sprintf("%s-%s-%d", nameOf(fleet.Name, r.Tree, r.Number), h.Body[:bodyDigits], n+1)
		if err := s.putPart(ctx, fleet, name, part); err != nil {
			return fmt.Errorf("keeping what pull request #%d shows in Secret %s/%s: %w", r.Number, fleet.Namespace, name, err)
		}
		h.Parts = append(h.Parts, name)
	}
	if err := s.putHead(ctx, fleet, secret, h, chunks[0]); err != nil {
		return fmt.Errorf("keeping what pull request #%d shows: %w", r.Number, err)
	}
	s.tell(fleet, r.Tree)
	return nil
}

// beforeTheBaseMoved gives what the same commits of a pull request showed last under another tree.
func (s Store) beforeTheBaseMoved(ctx context.Context, fleet client.ObjectKey, r Reviewed) (*Reviewed, error) {
	kept, err := s.List(ctx, fleet)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(kept, func(k Kept) bool { return k.Number == r.Number && k.Head == r.Head })
	if i < 0 {
		return nil, nil
	}
	before, _, err := s.read(ctx, fleet, kept[i].Tree, r.Number)
	if errors.Is(err, ErrUnreadable) {
		return nil, nil
	}
	return before, err
}

// unchanged reports whether a Secret holds what h says, and was put less than a day ago.
func unchanged(secret *corev1.Secret, h header) bool {
	have := header{}
	if unpack(secret.Data[keyHeader], &have) != nil || h.Put.Sub(have.Put) >= 24*time.Hour {
		return false
	}
	have.Put, have.Parts, h.Parts = h.Put, nil, nil
	mine, err := pack(h)
	if err != nil {
		return false
	}
	theirs, err := pack(have)
	return err == nil && slices.Equal(mine, theirs)
}

// putPart keeps a further part of the plans. Its name tells its content.
func (s Store) putPart(ctx context.Context, fleet client.ObjectKey, name string, part []byte) error {
	immutable := true
	err := s.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Namespace, Name: name, Labels: map[string]string{v1alpha1.ReviewedLabel: labelOf(fleet.Name)}},
		Immutable:  &immutable,
		Data:       map[string][]byte{keyBody: part},
	}, client.FieldOwner(v1alpha1.FleetFieldManager))
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// putHead keeps the first part and the header last, so that what is read is whole.
func (s Store) putHead(ctx context.Context, fleet client.ObjectKey, have *corev1.Secret, h header, part []byte) error {
	packed, err := pack(h)
	if err != nil {
		return err
	}
	want := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Namespace, Name: nameOf(fleet.Name, h.Tree, h.Number)}}
	if have != nil {
		want = have.DeepCopy()
	}
	want.Labels = map[string]string{v1alpha1.ReviewedLabel: labelOf(fleet.Name), v1alpha1.TreeLabel: treeOf(h.Tree)}
	want.Annotations = map[string]string{
		pullAnnotation: fmt.Sprintf("%d/%s/%s", h.Number, h.Head, h.Tree),
		putAnnotation:  h.Put.Format(time.RFC3339), bodyAnnotation: h.Body[:bodyDigits],
	}
	if h.Merged || h.Closed {
		want.Annotations[overAnnotation] = "true"
	}
	want.Data = map[string][]byte{keyHeader: packed}
	if part != nil {
		want.Data[keyBody] = part
	}
	if have == nil {
		return s.Client.Create(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager))
	}
	if part == nil {
		want.Data[keyBody] = have.Data[keyBody]
	}
	return s.Client.Patch(ctx, want, client.MergeFromWithOptions(have, client.MergeFromWithOptimisticLock{}), client.FieldOwner(v1alpha1.FleetFieldManager))
}

// again repeats what another writer came between.
func (s Store) again(do func() error) error {
	var err error
	for range 3 {
		err = do()
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !errors.Is(err, errTorn) {
			return err
		}
	}
	return err
}

// Approve has these be the approvals of a pull request that stand for a tree, as the forge tells now: one that is not
// among them was taken back. Nothing is written when they stand already, nor when nothing is kept. Tell the approvals
// before a plan is put anew, so that nobody's word is taken for more than was shown when it was given.
func (s Store) Approve(ctx context.Context, fleet client.ObjectKey, tree string, number int, approvals []Approval) error {
	return s.hear(ctx, fleet, tree, number, func(r *Reviewed) { r.Approvals = merge(r.Approvals, approvals, s.Now()) })
}

// Merge notes that the forge calls a pull request merged, with the approvals that it tells since: these count from now on.
func (s Store) Merge(ctx context.Context, fleet client.ObjectKey, tree string, number int, approvals []Approval) error {
	return s.hear(ctx, fleet, tree, number, func(r *Reviewed) {
		r.Approvals, r.Merged, r.Closed = merge(r.Approvals, approvals, s.Now()), true, false
	})
}

// Close notes that a pull request was not merged, or not with these files: the same files on another way to the branch are
// not what somebody said yes to.
func (s Store) Close(ctx context.Context, fleet client.ObjectKey, tree string, number int) error {
	return s.hear(ctx, fleet, tree, number, func(r *Reviewed) { r.Approvals, r.Closed = nil, !r.Merged })
}

func (s Store) hear(ctx context.Context, fleet client.ObjectKey, tree string, number int, do func(r *Reviewed)) error {
	wrote, err := s.change(ctx, fleet, tree, number, do)
	if wrote {
		s.tell(fleet, tree)
	}
	if errors.Is(err, ErrUnreadable) {
		return nil // as if nothing were kept: trying again does not help, and Put writes it anew
	}
	return err
}

// Spend has no approval count any more for clusters whose plans of a merged tree were taken on.
func (s Store) Spend(ctx context.Context, fleet client.ObjectKey, tree string, number int, clusters []string) error {
	if len(clusters) == 0 {
		return nil
	}
	_, err := s.change(ctx, fleet, tree, number, func(r *Reviewed) {
		for _, name := range clusters {
			if c, ok := r.Clusters[name]; ok {
				c.Spent = true
				r.Clusters[name] = c
			}
		}
	})
	return err
}

// change changes the header of what a pull request showed of a tree, and says whether it had to be written. What was
// merged counts as put then: it is about to be asked for.
func (s Store) change(ctx context.Context, fleet client.ObjectKey, tree string, number int, do func(r *Reviewed)) (wrote bool, err error) {
	err = s.again(func() error {
		r, secret, readErr := s.read(ctx, fleet, tree, number)
		if readErr != nil || r == nil {
			return readErr
		}
		was := header{}
		if readErr = unpack(secret.Data[keyHeader], &was); readErr != nil {
			return readErr
		}
		do(r)
		h := r.header()
		h.Put, h.Body, h.Parts = was.Put, was.Body, was.Parts
		if unchanged(secret, h) {
			return nil
		}
		if h.Merged && !was.Merged {
			h.Put = s.Now().UTC().Truncate(time.Second)
		}
		if putErr := s.putHead(ctx, fleet, secret, h, nil); putErr != nil {
			return fmt.Errorf("noting approvals of pull request #%d: %w", r.Number, putErr)
		}
		wrote = true
		return nil
	})
	return wrote, err
}

// List names what is kept of a Fleet, what was put last first. It reads no plan.
func (s Store) List(ctx context.Context, fleet client.ObjectKey) ([]Kept, error) {
	all, err := s.secrets(ctx, fleet)
	if err != nil {
		return nil, err
	}
	var kept []Kept
	for i := range all {
		if all[i].Labels[v1alpha1.TreeLabel] != "" {
			kept = append(kept, keptOf(&all[i]))
		}
	}
	slices.SortStableFunc(kept, func(a, b Kept) int { return b.Put.Compare(a.Put) })
	return kept, nil
}

func keptOf(o client.Object) Kept {
	k := Kept{Tree: o.GetLabels()[v1alpha1.TreeLabel]}
	if pull := strings.Split(o.GetAnnotations()[pullAnnotation], "/"); len(pull) == 3 {
		k.Number, _ = strconv.Atoi(pull[0])
		k.Head, k.Tree = pull[1], pull[2]
	}
	k.Over = o.GetAnnotations()[overAnnotation] == "true"
	if at, err := time.Parse(time.RFC3339, o.GetAnnotations()[putAnnotation]); err == nil {
		k.Put = at
	}
	return k
}

func (s Store) secrets(ctx context.Context, fleet client.ObjectKey) ([]metav1.PartialObjectMetadata, error) {
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := s.Reader.List(ctx, all, client.InNamespace(fleet.Namespace), client.MatchingLabels{v1alpha1.ReviewedLabel: labelOf(fleet.Name)}); err != nil {
		return nil, fmt.Errorf("listing reviewed plans of Fleet %s: %w", fleet, err)
	}
	return all.Items, nil
}

// nameOf is the first Secret's name. Fleets' names may be longer than what a name has room for.
func nameOf(fleet, tree string, number int) string {
	return fmt.Sprintf("refract-reviewed-%s-%s-%d", labelOf(fleet), treeOf(tree), number)
}

// labelOf is a Fleet's name as the value of a label.
func labelOf(fleet string) string {
	if len(fleet) <= 63 {
		return fleet
	}
	return strings.TrimRight(fleet[:52], "-.") + "-" + digest([]byte(fleet))[:10]
}

// treeOf is a tree hash as the value of a label: one of SHA-256 has a digit too many.
func treeOf(tree string) string { return tree[:min(len(tree), 63)] }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
