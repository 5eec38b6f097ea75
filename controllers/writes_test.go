package controllers

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// An approval that was given while another was looked at is not taken away with that one.
func TestOnlyTheApprovalThatWasReadIsSpent(t *testing.T) {
	for name, c := range map[string]struct {
		since string // the digest that stands there by now
		left  string
	}{
		"TheSame": {"sha256:aa", ""}, "AnotherSince": {"sha256:bb", "sha256:bb"}, "GoneSince": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			read := aMirror("edge-01")
			read.Annotations[v1alpha1.ApprovedPlanAnnotation] = "sha256:aa"
			read.Annotations[v1alpha1.ApprovedByAnnotation] = "ada"
			there := read.DeepCopy()
			there.Annotations[v1alpha1.ApprovedPlanAnnotation] = c.since
			if c.since == "" {
				delete(there.Annotations, v1alpha1.ApprovedPlanAnnotation)
				delete(there.Annotations, v1alpha1.ApprovedByAnnotation)
			}
			api := stand(t, interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					if err := c.Patch(ctx, o, p, opts...); err != nil { // as the API server answers when a test fails
						return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
					}
					return nil
				},
			}, there)
			if err := unapprove(t.Context(), api, api, read); err != nil {
				t.Fatal(err)
			}
			now := &v1alpha1.NutanixClusterSpec{}
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(read), now); err != nil {
				t.Fatal(err)
			}
			if got := now.Annotations[v1alpha1.ApprovedPlanAnnotation]; got != c.left {
				t.Errorf("%q is left, want %q", got, c.left)
			}
		})
	}
}

// What refuses to have an approval removed is said, and not taken for another approval.
func TestRefusedRemovalOfAnApproval(t *testing.T) {
	mirror := aMirror("edge-01")
	mirror.Annotations[v1alpha1.ApprovedPlanAnnotation] = "sha256:aa"
	api := stand(t, interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return apierrors.NewInvalid(schema.GroupKind{}, "edge-01", nil) // as an admission policy does
		},
	}, mirror)
	if err := unapprove(t.Context(), api, api, mirror); !apierrors.IsInvalid(err) {
		t.Errorf("refused, and said %v", err)
	}
}

// A Fleet that cannot be read for now is not gone: what was fetched and decoded of it is kept.
func TestUnreadableFleetIsNotForgotten(t *testing.T) {
	away := errors.New("the API server is away")
	for name, c := range map[string]struct {
		err  error
		kept bool
	}{
		"Away": {away, true},
		"Gone": {apierrors.NewNotFound(schema.GroupResource{}, "production"), false},
	} {
		t.Run(name, func(t *testing.T) {
			api := stand(t, interceptor.Funcs{
				Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					return c.err
				},
			})
			key := client.ObjectKeyFromObject(aFleet())
			r := &FleetReconciler{Client: api, Reader: api, sources: &sources{}, metrics: newMetrics(time.Now, ""), reviewed: review.Store{Client: api, Reader: api}}
			r.remember(key)
			if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); !errors.Is(err, client.IgnoreNotFound(c.err)) {
				t.Errorf("the reconcile says %v", err)
			}
			if _, kept := r.memory[key]; kept != c.kept {
				t.Errorf("kept: %t, want %t", kept, c.kept)
			}
		})
	}
}

// An account that could not be written counts as it was: the next cluster that uses it is refused as well, and is not
// accepted with an account that is not there.
func TestRefusedAccountIsNotMirrored(t *testing.T) {
	refuse := apierrors.NewForbidden(schema.GroupResource{Resource: "cloudaccounts"}, "pc-east", nil)
	declared := &fleet.Account{Object: &v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Name: "pc-east"}, Spec: v1alpha1.CloudAccountSpec{Insecure: true}}}
	for name, have := range map[string]map[string]*v1alpha1.CloudAccount{
		"New":     {},
		"Changed": {"pc-east": {ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: "pc-east"}}},
	} {
		t.Run(name, func(t *testing.T) {
			api := stand(t, interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return refuse },
				Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error { return refuse },
			})
			s := &scene{fleet: aFleet(), client: api, entered: have}
			for range 2 {
				if err := (&FleetReconciler{}).mirrorAccount(t.Context(), s, declared); !apierrors.IsForbidden(err) {
					t.Errorf("refused, and said %v", err)
				}
			}
		})
	}
}

// Credentials stay as they are while clusterctl moves a cluster, whether a Fleet declares it or not: what is written here
// after it was moved would stay behind.
func TestCredentialsRestDuringAMove(t *testing.T) {
	for _, owner := range []string{"production", ""} {
		c := aMirror("edge-01")
		c.Annotations[v1alpha1.FleetAnnotation] = owner
		api := stand(t, interceptor.Funcs{}, c)
		r := &AccountReconciler{Client: api, Reader: api, records: records{client: api, reader: api}}
		values := map[string]any{keyAccepted: &entry{ID: "1", Plan: []byte("{}")}, keyMoving: true}
		if err := r.records.put(t.Context(), client.ObjectKeyFromObject(c), values); err != nil {
			t.Fatal(err)
		}
		if err := r.trusted(t.Context(), c); err == nil || asFailure(err).reason != v1alpha1.MovingReason {
			t.Errorf("Fleet %q: %v", owner, err)
		}
	}
}

// An account's status is made from what the cache shows of it. While that is behind, nothing is written.
func TestAccountIsNotWrittenFromAStaleCache(t *testing.T) {
	var cached *v1alpha1.CloudAccount
	api := stand(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if a, ok := o.(*v1alpha1.CloudAccount); ok && cached != nil {
				cached.DeepCopyInto(a)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	}, &v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: "pc-east"}})
	r := &AccountReconciler{Client: api, Reader: api, support: &support{ok: true}, sites: &sites{interval: time.Minute}}
	key := client.ObjectKey{Namespace: clusters, Name: "pc-east"}
	before, said, now := &v1alpha1.CloudAccount{}, &v1alpha1.CloudAccount{}, &v1alpha1.CloudAccount{}
	read := func(into *v1alpha1.CloudAccount) {
		t.Helper()
		if err := api.Get(t.Context(), key, into); err != nil {
			t.Fatal(err)
		}
	}
	read(before)
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	read(said)
	if said.ResourceVersion == before.ResourceVersion {
		t.Fatal("nothing is said of a Secret that is missing")
	}
	cached = before
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter != soon {
		t.Errorf("looks again after %s: %v", result.RequeueAfter, err)
	}
	cached = nil
	if read(now); now.ResourceVersion != said.ResourceVersion {
		t.Errorf("written although nothing happened: was %+v, is %+v", said.Status, now.Status)
	}
}

// The kinds are shared by all that run at once: who appends to them writes nowhere into them.
func TestKindsAreNotAppendedTo(t *testing.T) {
	first := append(inventoryKinds, machineGVK)
	_ = append(inventoryKinds, namespaceGVK)
	if first[len(first)-1] != machineGVK {
		t.Error("two who append to the kinds write to the same place")
	}
}

// While Git is away, what a cluster asks for may be approved on the Fleet. That word serves once: the same drift a second
// time is asked about again.
func TestTheFleetsWordServesOnceWithoutGit(t *testing.T) {
	held := plan.Plan{Cluster: "edge-01", Changes: []plan.Change{change(v1alpha1.SeverityRollout)}}
	entry, err := newEntry(held, "inputs", "rendered", "", nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	digest := plan.FleetDigest(map[string]plan.Plan{"edge-01": held})
	for name, c := range map[string]struct {
		decision plan.Decision
		digest   string
		kept     bool
	}{
		"Served":          {plan.Decision{Accepted: true, Approved: true}, digest, false},
		"NotNeeded":       {plan.Decision{Accepted: true}, digest, true},
		"AnothersWord":    {plan.Decision{Accepted: true, Approved: true}, "sha256:bb", true},
		"StillToBeLooked": {plan.Decision{}, digest, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := aFleet()
			f.Annotations = map[string]string{v1alpha1.ApprovedPlanAnnotation: c.digest, v1alpha1.ApprovedByAnnotation: "ada"}
			api := stand(t, interceptor.Funcs{}, f)
			s := &scene{
				fleet: f, unread: errors.New("Git is away"), mirrors: map[string]*v1alpha1.NutanixClusterSpec{"edge-01": aMirror("edge-01")},
				records: map[string]record{"edge-01": {Held: entry}}, proposed: map[string]*proposal{"edge-01": {name: "edge-01", decision: c.decision}},
			}
			r := &FleetReconciler{Client: api, Reader: api, Now: func() time.Time { return noon }}
			if err := r.spend(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			now := &v1alpha1.Fleet{}
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(f), now); err != nil {
				t.Fatal(err)
			}
			if kept := now.Annotations[v1alpha1.ApprovedPlanAnnotation] != ""; kept != c.kept {
				t.Errorf("approval kept: %t, want %t", kept, c.kept)
			}
		})
	}
}
