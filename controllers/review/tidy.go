package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// partGrace is how long a part may lie there before the Secret that names it: an hour.
const partGrace = time.Hour

// Tidy removes of a Fleet what was last put too long ago, what is more than is kept, and parts of what was put anew. What
// an open pull request showed last stays, however many of them there are.
func (s Store) Tidy(ctx context.Context, fleet client.ObjectKey, open []int) error {
	all, err := s.secrets(ctx, fleet)
	if err != nil {
		return err
	}
	return s.removeAll(ctx, fleet.Namespace, s.outlived(all, open, MaxKept))
}

// outlived names the Secrets that are to go, when what open pull requests showed last stays and most of the others.
func (s Store) outlived(all []metav1.PartialObjectMetadata, open []int, most int) []string {
	var heads, parts []*metav1.PartialObjectMetadata
	for i := range all {
		if all[i].Labels[v1alpha1.TreeLabel] != "" {
			heads = append(heads, &all[i])
		} else {
			parts = append(parts, &all[i])
		}
	}
	slices.SortStableFunc(heads, func(a, b *metav1.PartialObjectMetadata) int { return keptOf(b).Put.Compare(keptOf(a).Put) })
	var gone []string
	var stay []*metav1.PartialObjectMetadata
	seen, others := map[int]bool{}, 0
	for _, h := range heads {
		k := keptOf(h)
		if slices.Contains(open, k.Number) && !seen[k.Number] {
			seen[k.Number] = true
			stay = append(stay, h)
			continue
		}
		if others++; others > most || s.Now().Sub(k.Put) >= KeptFor {
			gone = append(gone, h.Name)
		} else {
			stay = append(stay, h)
		}
	}
	return append(gone, s.leftOver(parts, stay)...)
}

// leftOver names the parts of none that stays.
func (s Store) leftOver(parts, stay []*metav1.PartialObjectMetadata) []string {
	var gone []string
	for _, part := range parts {
		used := slices.ContainsFunc(stay, func(h *metav1.PartialObjectMetadata) bool {
			return strings.HasPrefix(part.Name, h.Name+"-"+h.Annotations[bodyAnnotation])
		})
		if !used && s.Now().Sub(part.CreationTimestamp.Time) >= partGrace {
			gone = append(gone, part.Name)
		}
	}
	return gone
}

// Collect removes of every Fleet what was last put too long ago, and all that is kept of those that are gone.
func (s Store) Collect(ctx context.Context) error {
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := s.Reader.List(ctx, all, client.HasLabels{v1alpha1.ReviewedLabel}); err != nil {
		return fmt.Errorf("listing reviewed plans: %w", err)
	}
	fleets := &v1alpha1.FleetList{}
	if err := s.Reader.List(ctx, fleets); err != nil {
		return fmt.Errorf("listing Fleets: %w", err)
	}
	living := map[client.ObjectKey]bool{}
	for i := range fleets.Items {
		living[client.ObjectKey{Namespace: fleets.Items[i].Namespace, Name: labelOf(fleets.Items[i].Name)}] = true
	}
	of := map[client.ObjectKey][]metav1.PartialObjectMetadata{}
	for i := range all.Items {
		key := client.ObjectKey{Namespace: all.Items[i].Namespace, Name: all.Items[i].Labels[v1alpha1.ReviewedLabel]}
		of[key] = append(of[key], all.Items[i])
	}
	for key, kept := range of {
		gone := s.outlived(kept, nil, len(kept))
		if !living[key] {
			gone = namesOf(kept)
		}
		if err := s.removeAll(ctx, key.Namespace, gone); err != nil {
			return err
		}
	}
	return nil
}

func namesOf(all []metav1.PartialObjectMetadata) []string {
	names := make([]string, 0, len(all))
	for i := range all {
		names = append(names, all[i].Name)
	}
	return names
}

// Forget removes all that is kept of a Fleet that is gone.
func (s Store) Forget(ctx context.Context, fleet client.ObjectKey) error {
	all, err := s.secrets(ctx, fleet)
	if err != nil {
		return err
	}
	return s.removeAll(ctx, fleet.Namespace, namesOf(all))
}

func (s Store) removeAll(ctx context.Context, namespace string, names []string) error {
	for _, name := range names {
		if err := s.remove(ctx, namespace, name); err != nil {
			return err
		}
	}
	return nil
}

func (s Store) remove(ctx context.Context, namespace, name string) error {
	err := s.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the reviewed plan in Secret %s/%s: %w", namespace, name, err)
	}
	return nil
}
