package controllers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// tokens knows who may call for which Fleet. It is filled by reconciles from Secrets; until a Fleet has been reconciled
// its calls are refused, and the reconcile that first takes them looks at the repository anyway.
type tokens struct{ by sync.Map } // client.ObjectKey to *caller

// caller is who calls for one Fleet.
type caller struct {
	terms atomic.Pointer[terms]
	// calls that were taken and ask for a look.
	calls atomic.Int64

	mu   sync.Mutex
	seen map[[sha256.Size]byte]bool
	old  [][sha256.Size]byte // seen, the oldest first
}

// terms are what calls are measured by.
type terms struct {
	token []byte
	ref   string // that the Fleet reads; "" when no push changes what it reads
}

// remembered is how many calls of one Fleet are told from replays. A replay of an older one costs one look.
const remembered = 256

// first says whether a call is taken for the first time.
func (c *caller) first(sum [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[sum] {
		return false
	}
	if c.seen == nil {
		c.seen = map[[sha256.Size]byte]bool{}
	}
	if len(c.old) >= remembered {
		delete(c.seen, c.old[0])
		c.old = c.old[1:]
	}
	c.seen[sum], c.old = true, append(c.old, sum)
	return true
}

func (t *tokens) of(fleet client.ObjectKey) (*caller, bool) {
	have, ok := t.by.Load(fleet)
	if !ok {
		return nil, false
	}
	c, ok := have.(*caller)
	return c, ok
}

// set keeps what is known of replays, and counts on.
func (t *tokens) set(fleet client.ObjectKey, want terms) {
	c, ok := t.of(fleet)
	if !ok {
		c = &caller{}
		c.terms.Store(&want)
		t.by.Store(fleet, c)
		return
	}
	if have := c.terms.Load(); !bytes.Equal(have.token, want.token) || have.ref != want.ref {
		c.terms.Store(&want)
	}
}

func (r *receiver) forget(fleet client.ObjectKey) {
	if r != nil {
		r.tokens.by.Delete(fleet)
	}
}

// calls that asked for a look at a Fleet's repository so far.
func (r *receiver) calls(fleet client.ObjectKey) int64 {
	if r == nil {
		return 0
	}
	c, ok := r.tokens.of(fleet)
	if !ok {
		return 0
	}
	return c.calls.Load()
}

// pushedRef is what a push has to be to, for the Fleet to read anything else than before.
func pushedRef(f *v1alpha1.Fleet) string {
	switch ref := gitRef(f.Spec.Git.Ref); {
	case ref.Branch != "":
		return "refs/heads/" + ref.Branch
	case ref.Tag != "":
		return "refs/tags/" + ref.Tag
	}
	return ""
}

// listen takes the calls for a Fleet that its Secret allows, and says so in WebhookReady. Nothing else depends on it: a
// wrong Secret holds up no change, since the repository is read every interval as well.
func (r *receiver) listen(ctx context.Context, reader client.Reader, f *v1alpha1.Fleet) {
	if r == nil {
		return
	}
	key := client.ObjectKeyFromObject(f)
	if f.Spec.Webhook == nil {
		r.forget(key)
		drop(f, v1alpha1.WebhookReadyCondition)
		return
	}
	const polled = "; until then the repository is read every interval"
	name := client.ObjectKey{Namespace: f.Namespace, Name: f.Spec.Webhook.SecretRef.Name}
	refuse := func(reason, message string) {
		r.forget(key)
		set(f, v1alpha1.WebhookReadyCondition, metav1.ConditionFalse, reason, message+polled)
	}
	if r.address == "" {
		refuse(v1alpha1.NotListeningReason, "the operator takes no calls: install its chart with webhook.enabled=true, or start it with --webhook-address=:9292")
		return
	}
	secret := &corev1.Secret{}
	switch err := reader.Get(ctx, name, secret); {
	case apierrors.IsNotFound(err):
		refuse(v1alpha1.SecretNotFoundReason, "spec.webhook.secretRef: Secret "+name.String()+" does not exist; create it with the key token")
		return
	case err != nil:
		return // What was known stays; it is read again at the next reconcile.
	}
	token := bytes.TrimRight(secret.Data["token"], "\r\n")
	if len(token) < minToken {
		refuse(v1alpha1.SecretNotFoundReason, "spec.webhook.secretRef: Secret "+name.String()+" lacks the key token, or it is shorter than 16 letters; put a long random word there, and tell it to the Git server")
		return
	}
	r.tokens.set(key, terms{token: token, ref: pushedRef(f)})
	set(f, v1alpha1.WebhookReadyCondition, metav1.ConditionTrue, v1alpha1.ListeningReason, "calls to "+hooksPath+key.String()+" that are signed with token of Secret "+name.String()+" are taken")
}

// minToken keeps out what anybody who sees one call can find by trying.
const minToken = 16
