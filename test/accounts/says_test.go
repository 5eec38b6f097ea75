package accounts

import (
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

func keyOf(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }

// trouble is a reason for which credentials are not proved.
type trouble struct {
	// account has the trouble, and a Prism Central of its own.
	account string
	// extra lines of the account, and its address where that is not the Prism Central's.
	extra, address string
	// reason in Ready, and words that tell what is wrong and what to do next.
	reason string
	words  []string
	// retried: it is tried again without a person.
	retried bool
	// begin and mend; mendings in Git are made in one commit.
	begin, mend func(s *fleets.Stage, c *central)
	mended      func(c *central) string
}

const (
	insecure = "  insecure: true\n"
	trusting = "  trustBundleRef: {name: %s-ca}\n"
)

func troubles() []trouble {
	unknown := []string{"authority that is not known", "trustBundleRef"}
	return []trouble{
		{
			account: "wrong-password", extra: insecure,
			reason: v1alpha1.AuthenticationFailedReason, words: []string{"Secret wrong-password-credentials", "correct username and password"},
			begin: func(s *fleets.Stage, _ *central) { secret(s, "wrong-password-credentials", wrong) },
			mend: func(s *fleets.Stage, c *central) {
				if err := c.SetPassword("refract", wrong); err != nil {
					s.T.Fatal(err)
				}
			},
		},
		{
			account: "no-secret", extra: insecure,
			reason: v1alpha1.SecretNotFoundReason, words: []string{"spec.credentialsRef", "no-secret-credentials does not exist", "keys username and password"},
			begin: func(s *fleets.Stage, _ *central) {
				s.Remove(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "no-secret-credentials"}})
			},
			mend: func(s *fleets.Stage, _ *central) { credentials(s, "no-secret") },
		},
		{
			account: "unknown-authority",
			reason:  v1alpha1.UntrustedCertificateReason, words: unknown,
			mend:   func(s *fleets.Stage, c *central) { s.Create(bundle(s, "unknown-authority", c.ca())) },
			mended: func(c *central) string { return c.file("unknown-authority", of(trusting, "unknown-authority")) },
		},
		{
			account: "wrong-bundle", extra: of(trusting, "wrong-bundle"),
			reason: v1alpha1.UntrustedCertificateReason, words: unknown,
			begin: func(s *fleets.Stage, _ *central) { s.Create(bundle(s, "wrong-bundle", string(s.World.Prism.CA))) },
			mend: func(s *fleets.Stage, c *central) {
				if err := s.Client.Update(s.T.Context(), bundle(s, "wrong-bundle", c.ca())); err != nil {
					s.T.Fatal(err)
				}
			},
		},
		{
			account: "no-bundle", extra: of(trusting, "no-bundle"),
			reason: v1alpha1.SecretNotFoundReason, words: []string{"spec.trustBundleRef", "no-bundle-ca", "ca.crt"},
			mend: func(s *fleets.Stage, c *central) { s.Create(bundle(s, "no-bundle", c.ca())) },
		},
		{
			account: "no-name", extra: insecure, address: "prism-central.invalid:9440",
			reason: v1alpha1.NameNotFoundReason, words: []string{"prism-central.invalid", "DNS"},
			mended: func(c *central) string { return c.file("no-name", insecure) },
		},
		{
			account: "too-old", extra: insecure,
			reason: v1alpha1.PrismTooOldReason, words: []string{"too old", "comes with Prism Central 7.5", "upgrade it"},
			mended: nil, // it is upgraded
		},
		{
			account: "throttled", extra: insecure,
			reason: v1alpha1.PrismThrottledReason, words: []string{"too many requests", "come back later"}, retried: true,
		},
		{
			account: "away", extra: insecure,
			reason: v1alpha1.PrismUnreachableReason, words: []string{"refuses connections", "9440 on most", "whether it runs"}, retried: true,
		},
	}
}

// TestAccountSaysWhy shows each reason for which an account's credentials are not proved: nothing is distributed and nothing applied,
// and once it is mended all goes on by itself. One Fleet has them all.
func TestAccountSaysWhy(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &shared)
	files := s.Files()
	delete(files, "fleet/account.yaml")
	all, clusters, mends := troubles(), map[string]rig.Cluster{}, map[string]func(){}
	mended := map[string]string{}
	for _, c := range all {
		credentials(s, c.account)
		prism, address, mend := c.prism(t)
		mends[c.account] = mend
		if c.mend != nil {
			mends[c.account] = func() { c.mend(s, prism) }
		}
		if c.mended != nil {
			mended["fleet/"+c.account+".yaml"] = c.mended(prism)
		}
		if c.begin != nil {
			c.begin(s, prism)
		}
		one := edge("on-" + c.account)
		one.Account, clusters[c.account] = c.account, one
		files["fleet/"+c.account+".yaml"], files[fleets.File(one)] = accountFile(c.account, address, c.extra), one.File()
	}
	s.Push("accounts", files)
	s.Start(fleets.Production, nil)
	each := func(check func(s *fleets.Stage, c trouble)) {
		for _, c := range all {
			t.Run(c.account, func(t *testing.T) { check(s.In(t), c) })
		}
	}
	each(func(s *fleets.Stage, c trouble) { c.shows(s, clusters[c.account]) })
	for _, mend := range mends {
		mend()
	}
	s.Commit("mend", mended)
	each(func(s *fleets.Stage, c trouble) { c.passes(s, clusters[c.account]) })
	quiet(t)
}

// prism starts the Prism Central of an account, tells the address that the account has and what mends it.
func (c trouble) prism(t *testing.T) (prism *central, address string, mend func()) {
	t.Helper()
	mend = func() {}
	switch c.account {
	case "too-old":
		listener := listen(t, "127.0.0.1:0")
		address = listener.Addr().String()
		old := newCentralAt(t, listener, func(o *simulator.Options) { o.APIVersion = "v4.0" })
		return old, address, func() { old.become(simulator.New(options(nil))) }
	case "throttled":
		prism = newCentral(t, nil)
		mend = prism.fault(t, simulator.Fault{Effect: simulator.EffectError, Status: 429, RetryAfter: time.Hour}).Remove
	case "away":
		// A port that nobody else is given meanwhile: of an address that only this test has.
		return nil, "127.0.0.77:9440", func() { newCentralAt(t, listen(t, "127.0.0.77:9440"), nil) }
	default:
		prism = newCentral(t, nil)
	}
	if c.address != "" {
		return prism, c.address, mend
	}
	return prism, prism.address(), mend
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", address) //nolint:noctx // at once
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// shows what a person reads while the credentials are not proved.
func (c trouble) shows(s *fleets.Stage, on rig.Cluster) {
	s.T.Helper()
	a := accountSays(s, c.account, metav1.ConditionFalse, c.reason, c.words...)
	kind := v1alpha1.StalledCondition
	if c.retried {
		kind = v1alpha1.ReconcilingCondition
	}
	if err := rig.Has(a, kind, metav1.ConditionTrue, ""); err != nil {
		s.T.Error(err)
	}
	if a.Status.Credentials != nil || a.Status.PrismCentral != "" || len(a.Status.Elements) > 0 {
		s.T.Errorf("the status knows of a Prism Central that let nobody in: %+v", a.Status)
	}
	s.ClusterHas(on.Name, v1alpha1.PreflightPassedCondition, metav1.ConditionUnknown, v1alpha1.PreflightUnknownReason, fleets.Soon)
	if there := s.Inventory(on.Name); len(there) > 0 {
		s.T.Errorf("distributed or applied before the credentials are proved: %v", there)
	}
}

// passes once it is mended.
func (c trouble) passes(s *fleets.Stage, on rig.Cluster) {
	s.T.Helper()
	a := accountSays(s, c.account, metav1.ConditionTrue, v1alpha1.SucceededReason, "distributed to 1 clusters")
	if a.Status.Credentials == nil || a.Status.PrismCentral != "7.5" {
		s.T.Errorf("proved, and the status says %+v", a.Status)
	}
	s.Accepted(on)
	if s.Object("v1", "Secret", on.Name+"-pc-credentials") == nil {
		s.T.Error("the cluster has no credentials")
	}
}

func bundle(s *fleets.Stage, account, ca string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: account + "-ca"},
		Data:       map[string]string{"ca.crt": ca},
	}
}
