package controllers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource"
)

// sources holds one repository per Fleet, so that an unchanged remote costs one ref listing. It is a cache: losing it
// costs a fetch.
type sources struct {
	reader        client.Reader
	allowFileURLs bool
	allowInsecure bool
	metrics       *metrics

	mu   sync.Mutex
	held map[client.ObjectKey]heldSource
}

type heldSource struct {
	url, path string
	repo      *gitsource.Repository
}

// snapshot reads what the Fleet's ref stands for now, with credentials read afresh from their Secret.
func (s *sources) snapshot(ctx context.Context, f *v1alpha1.Fleet) (gitsource.Snapshot, *gitsource.Repository, error) {
	repo, err := s.open(ctx, f)
	if err != nil {
		return gitsource.Snapshot{}, nil, err
	}
	snap, err := repo.Snapshot(ctx, gitRef(f.Spec.Git.Ref))
	if err != nil {
		return gitsource.Snapshot{}, nil, classifyGit(f, err)
	}
	dir, err := gitsource.CleanPath(f.Spec.Git.Path)
	if err != nil {
		return gitsource.Snapshot{}, nil, classifyGit(f, err)
	}
	if info, err := fs.Stat(snap.Files, dir); err != nil || !info.IsDir() {
		return gitsource.Snapshot{}, nil, stall(v1alpha1.PathNotFoundReason,
			"spec.git.path %q is not a directory in %s; nothing was changed. Correct the path or commit the directory", f.Spec.Git.Path, snap.Revision)
	}
	return snap, repo, nil
}

func gitRef(r v1alpha1.GitRef) gitsource.Ref {
	if r == (v1alpha1.GitRef{}) {
		return gitsource.Ref{Branch: "main"} // the CRD's default, for objects that were not defaulted
	}
	return gitsource.Ref{Branch: r.Branch, Tag: r.Tag, Commit: r.Commit}
}

func (s *sources) open(ctx context.Context, f *v1alpha1.Fleet) (*gitsource.Repository, error) {
	auth, err := s.auth(ctx, f)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = map[client.ObjectKey]heldSource{}
	}
	have, ok := s.held[client.ObjectKeyFromObject(f)]
	if ok && have.url == f.Spec.Git.URL && have.path == f.Spec.Git.Path {
		if err = have.repo.SetAuth(auth); err != nil {
			return nil, classifyGit(f, err)
		}
		return have.repo, nil
	}
	repo, err := gitsource.Open(gitsource.Options{
		URL: f.Spec.Git.URL, Path: f.Spec.Git.Path, Auth: auth, AllowFileURLs: s.allowFileURLs, AllowInsecure: s.allowInsecure,
		Observe: s.metrics.git(client.ObjectKeyFromObject(f)),
	})
	if err != nil {
		return nil, classifyGit(f, err)
	}
	s.held[client.ObjectKeyFromObject(f)] = heldSource{url: f.Spec.Git.URL, path: f.Spec.Git.Path, repo: repo}
	return repo, nil
}

// forget drops what is held for a Fleet that no longer exists.
func (s *sources) forget(fleet client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, fleet)
}

func (s *sources) auth(ctx context.Context, f *v1alpha1.Fleet) (gitsource.Auth, error) {
	if f.Spec.Git.SecretRef == nil {
		return gitsource.Auth{}, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: f.Namespace, Name: f.Spec.Git.SecretRef.Name}
	if err := s.reader.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return gitsource.Auth{}, stall(v1alpha1.SecretNotFoundReason, "spec.git.secretRef: Secret %s does not exist; create it with username and password, bearerToken, or identity and known_hosts", key)
		}
		return gitsource.Auth{}, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	auth, err := gitsource.AuthFromSecret(secret.Data)
	if err != nil {
		return gitsource.Auth{}, stall(v1alpha1.AuthenticationFailedReason, "Secret %s: %w", key, err)
	}
	return auth, nil
}

// classifyGit gives an error of gitsource its reason. What a person must mend is stalled, and looked at again at the
// next interval all the same, since the mending may happen on the Git server.
func classifyGit(f *v1alpha1.Fleet, err error) error {
	kept := "nothing was changed; clusters keep their last accepted state"
	switch {
	case errors.Is(err, gitsource.ErrAuth), errors.Is(err, gitsource.ErrHostKey), errors.Is(err, gitsource.ErrTLS):
		return stall(v1alpha1.AuthenticationFailedReason, "%w (%s)", err, kept)
	case errors.Is(err, gitsource.ErrRefNotFound):
		return stall(v1alpha1.RefNotFoundReason, "%w (%s)", err, kept)
	case errors.Is(err, gitsource.ErrNotFound):
		return stall(v1alpha1.RepositoryUnreachableReason, "%w (%s)", err, kept)
	case errors.Is(err, gitsource.ErrLimit), errors.Is(err, gitsource.ErrRefused):
		return stall(v1alpha1.SourceRefusedReason, "spec.git of Fleet %s/%s: %w (%s)", f.Namespace, f.Name, err, kept)
	}
	return retry(v1alpha1.RepositoryUnreachableReason, fmt.Errorf("%w (%s)", err, kept))
}
