package adopt

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// moved has clusterctl move the cluster to another management cluster while Refract runs here.
func moved(l *life) {
	for _, p := range []*rig.Package{&shared, l.target.ready(l)} {
		movable(l, p.Client)
	}
	l.ready()
	names := slices.Sorted(maps.Values(l.Machines(cluster)))
	since := l.lastWrite()
	reasons := l.watchPaused()
	l.clusterctl(nil, "move", "--namespace", l.Namespace, "--kubeconfig", l.World.Kubeconfig, "--to-kubeconfig", l.target.World.Kubeconfig)
	gone := l.ClusterHas(cluster, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ClusterDeletedElsewhereReason, hand.Soon)
	if err := words(message(gone, v1alpha1.StalledCondition), "moved to another management cluster by clusterctl"); err != nil {
		l.T.Error(err)
	}
	if seen := reasons(); !slices.Contains(seen, v1alpha1.MovingReason) {
		l.T.Errorf("during the move Paused said %v", seen)
	}
	// Another commit is planned, and still nothing comes back.
	hash := l.Push("no change", nil)
	l.Handled("production", hash, hand.Soon)
	l.ClusterHas(cluster, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ClusterDeletedElsewhereReason, hand.Soon)
	for _, w := range l.Writes(since) {
		if strings.Contains(w.URI, "cluster.x-k8s.io") && !w.DryRun() {
			l.T.Errorf("Refract wrote during or after the move: %s", w)
		}
	}
	l.Within(hand.Soon, "nothing is left on the source", func() error {
		if left := slices.Sorted(maps.Keys(snapshot(l.Scene))); len(left) > 0 {
			return fmt.Errorf("left on the source: %v", left)
		}
		return nil
	})
	l.sameVMs()
	if now := slices.Sorted(maps.Values(l.there().Machines(cluster))); !slices.Equal(now, names) {
		l.T.Errorf("the target has Machines %v and the source had %v", now, names)
	}
}

// movable labels the CRDs as clusterctl does when it installs providers.
func movable(l *life, c client.Client) {
	l.T.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"})
	if err := c.List(l.T.Context(), list); err != nil {
		l.T.Fatal(err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if !strings.HasSuffix(o.Name, "cluster.x-k8s.io") {
			continue
		}
		if err := c.Patch(l.T.Context(), o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"clusterctl.cluster.x-k8s.io":""}}}`))); err != nil {
			l.T.Fatal(err)
		}
	}
}

// lastWrite is when Refract wrote last.
func (l *life) lastWrite() time.Time {
	l.T.Helper()
	all := l.Writes(time.Time{})
	if len(all) == 0 {
		l.T.Fatal("the audit log holds no write of ours")
	}
	return all[len(all)-1].At
}

// watchPaused watches condition Paused until the returned function is called, which gives the reasons seen.
func (l *life) watchPaused() func() []string {
	l.T.Helper()
	c, err := client.NewWithWatch(l.World.REST, client.Options{Scheme: l.Client.Scheme()})
	if err != nil {
		l.T.Fatal(err)
	}
	w, err := c.Watch(l.T.Context(), &v1alpha1.NutanixClusterSpecList{}, client.InNamespace(l.Namespace))
	if err != nil {
		l.T.Fatal(err)
	}
	var seen []string
	var done sync.WaitGroup
	done.Go(func() {
		for e := range w.ResultChan() {
			if c, ok := e.Object.(*v1alpha1.NutanixClusterSpec); ok {
				if p := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.PausedCondition); p != nil {
					seen = append(seen, p.Reason)
				}
			}
		}
	})
	return func() []string {
		w.Stop()
		done.Wait()
		return slices.Compact(seen)
	}
}

// target is the other management cluster; it starts beside the first steps.
type target struct {
	rig.Package
	started chan error
}

func startTarget(ctx context.Context) *target {
	t := &target{started: make(chan error)}
	go func() {
		defer close(t.started)
		t.started <- t.Open(ctx, world.Options{Managers: true, Manifests: hand.Policies()})
	}()
	return t
}

// ready waits until the world has started.
func (t *target) ready(l *life) *rig.Package {
	if err := <-t.started; err != nil {
		l.T.Fatal(err)
	}
	return &t.Package
}

func (t *target) stop() {
	if err := <-t.started; err != nil {
		return // nothing has started
	}
	if t.Operator != nil {
		_ = t.Operator.Stop()
	}
	if t.World != nil {
		_ = t.World.Stop()
	}
}

// there is the target seen as a scene with the same repository and the same Prism Central.
func (l *life) there() *hand.Scene {
	return &hand.Scene{Scene: &rig.Scene{Package: &l.target.Package, T: l.T, Git: l.Git, Namespace: l.Namespace}}
}

// pickedUp starts Refract on the target with a Fleet over the same files. Ownership travelled with the objects, since
// clusterctl keeps their managedFields, so nothing is to be adopted.
func pickedUp(l *life) {
	s := l.there()
	s.Secret("git-credentials", map[string]string{"username": l.Git.Username, "password": l.Git.Password})
	s.Secret("pc-east-credentials", map[string]string{"username": l.World.Prism.Username, "password": l.World.Prism.Password})
	s.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "pc-east-ca"}, Data: map[string]string{"ca.crt": string(l.World.Prism.CA)}})
	l.target.Operator = rig.NewOperator(l.target.World.REST, controllers.Options{Log: ctrl.Log.WithName("target")})
	l.target.Operator.Start(context.WithoutCancel(l.T.Context()))
	s.Within(patience, "Cluster API on the target runs it", func() error { return available(s) })
	l.machines = uids(s)
	if doc, code := planOn(s, l.files); code != noChange {
		l.T.Errorf("refract plan ends with %d and says %+v", code, doc)
	}
	s.NewFleet("production", func(f *v1alpha1.Fleet) { f.Spec.Limits.PrunedPercent = ptr.To[int32](100) })
	s.InSync(cluster)
	s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
	if now := uids(s); !slices.Equal(now, l.machines) {
		l.T.Errorf("the Machines are %v and were %v", now, l.machines)
	}
	l.sameVMs()
	s.Loosen(cluster+"-wmd", "70%")
	s.Tight(cluster + "-wmd")
	if o := l.Object(hand.Core, "Cluster", cluster); o != nil {
		l.T.Error("the source has its Cluster again")
	}
}

// released lets the cluster go on the target: nothing of it changes but that Refract's marks are gone.
func released(l *life) {
	s := l.there()
	l.files.extra = "  deletionPolicy: Orphan\n"
	hash := l.Push("let it go", l.files.all())
	s.Handled("production", hash, hand.Soon)
	s.InSync(cluster)
	before := quiet(s)
	l.Push("gone", map[string]string{"fleet/" + cluster + ".yaml": ""})
	s.Within(hand.Soon, "the object is gone", func() error {
		if c := s.Cluster(cluster); c != nil {
			return fmt.Errorf("%+v", c.Status.Conditions)
		}
		return nil
	})
	after := quiet(s)
	for name, was := range before {
		now, ok := after[name]
		if !ok {
			l.T.Errorf("%s is gone", name)
			continue
		}
		if !reflect.DeepEqual(was.Object["spec"], now.Object["spec"]) || !reflect.DeepEqual(was.Object["data"], now.Object["data"]) {
			l.T.Errorf("%s was %v and is %v", name, was.Object, now.Object)
		}
		if ours(now) {
			l.T.Errorf("%s still is marked: %v %v", name, now.GetLabels(), now.GetManagedFields())
		}
	}
	if now := uids(s); !slices.Equal(now, l.machines) {
		l.T.Errorf("the Machines are %v and were %v", now, l.machines)
	}
	l.sameVMs()
	if err := available(s); err != nil {
		l.T.Error(err)
	}
}
