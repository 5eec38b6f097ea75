package kube

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// overlay reads the live objects as they would be after the plan: wanted ones hide live ones of the same name. Cluster
// API's comparison code takes a full client; this one refuses to write.
type overlay struct {
	client.Client
	reader client.Reader
	over   map[identity]*unstructured.Unstructured
}

var errReadOnly = errors.New("a comparison does not write")

func (o overlay) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		gvk := u.GroupVersionKind()
		if over, ok := o.over[identity{group: gvk.Group, kind: gvk.Kind, name: key.Name}]; ok {
			over.DeepCopyInto(u)
			return nil
		}
	}
	return o.reader.Get(ctx, key, obj, opts...)
}

func (o overlay) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return o.reader.List(ctx, list, opts...)
}

func (overlay) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return errReadOnly
}

func (overlay) Create(context.Context, client.Object, ...client.CreateOption) error {
	return errReadOnly
}

func (overlay) Delete(context.Context, client.Object, ...client.DeleteOption) error {
	return errReadOnly
}

func (overlay) Update(context.Context, client.Object, ...client.UpdateOption) error {
	return errReadOnly
}

func (overlay) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	return errReadOnly
}

func (overlay) DeleteAllOf(context.Context, client.Object, ...client.DeleteAllOfOption) error {
	return errReadOnly
}

// after is what a pair's object will be: as the API server would store it, else as wanted.
func after(stored, want *unstructured.Unstructured) *unstructured.Unstructured {
	if stored != nil {
		return stored
	}
	return want
}
