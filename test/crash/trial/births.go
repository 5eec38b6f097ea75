package trial

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// kind is one that lives in namespaces.
type kind struct {
	schema.GroupVersionResource
	name string
}

// neverState are kinds that say or lock something, and one that is deprecated for another.
var neverState = []string{"Event", "Lease", "Endpoints"}

// kinds are all others that live in namespaces, each in the version that the API server prefers.
func kinds(config *rest.Config) ([]kind, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	lists, err := client.ServerPreferredNamespacedResources()
	if err != nil {
		return nil, fmt.Errorf("asking for all kinds: %w", err)
	}
	var all []kind
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if slices.Contains(neverState, r.Kind) || !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "watch") {
				continue
			}
			all = append(all, kind{gv.WithResource(r.Name), r.Kind})
		}
	}
	return all, nil
}

// listed are the paths at which the kinds of all namespaces are listed.
func listed(all []kind) map[string]bool {
	paths := map[string]bool{"/api/v1/events": true}
	for _, k := range all {
		prefix := "/apis/" + k.Group
		if k.Group == "" {
			prefix = "/api"
		}
		paths[prefix+"/"+k.Version+"/"+k.Resource] = true
	}
	return paths
}

// births is what was ever created in any namespace, by watch.
type births struct {
	mu sync.Mutex
	by map[string]*register
}

// register of one namespace.
type register struct {
	kinds map[kind]bool
	born  map[string][]types.UID // by kind and name, in order
	live  map[string]types.UID
	names map[types.UID]string
}

func (b *births) of(namespace string) *register {
	if b.by[namespace] == nil {
		b.by[namespace] = &register{kinds: map[kind]bool{}, born: map[string][]types.UID{}, live: map[string]types.UID{}, names: map[types.UID]string{}}
	}
	return b.by[namespace]
}

// watch notes every creation until ctx ends.
func watch(ctx context.Context, config *rest.Config, all []kind) (*births, error) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	b := &births{by: map[string]*register{}}
	factory := metadatainformer.NewSharedInformerFactory(client, 0)
	for _, k := range all {
		if _, err := factory.ForResource(k.GroupVersionResource).Informer().AddEventHandler(b.handler(k)); err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	for k, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watching %s: %w", k.Resource, ctx.Err())
		}
	}
	return b, nil
}

func (b *births) handler(k kind) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) {
			if m, ok := o.(*metav1.PartialObjectMetadata); ok {
				b.add(k, m)
			}
		},
		UpdateFunc: func(_, o any) { // a deletion and a creation that the watch saw as one
			if m, ok := o.(*metav1.PartialObjectMetadata); ok {
				b.add(k, m)
			}
		},
		DeleteFunc: func(o any) {
			if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if m, ok := o.(*metav1.PartialObjectMetadata); ok {
				b.remove(k, m)
			}
		},
	}
}

func (b *births) add(k kind, m *metav1.PartialObjectMetadata) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, name := b.of(m.Namespace), k.name+"/"+m.Name
	r.kinds[k], r.live[name] = true, m.UID
	if _, known := r.names[m.UID]; !known {
		r.names[m.UID] = name
		r.born[name] = append(r.born[name], m.UID)
	}
}

func (b *births) remove(k kind, m *metav1.PartialObjectMetadata) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, name := b.of(m.Namespace), k.name+"/"+m.Name; r.live[name] == m.UID {
		delete(r.live, name)
	}
}

// counts says how often each object of a namespace was created, by kind and name.
func (b *births) counts(namespace string) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]int{}
	for name, uids := range b.of(namespace).born {
		all[name] = len(uids)
	}
	return all
}

// alive are the UIDs of what lives in a namespace, by kind and name.
func (b *births) alive(namespace string) map[string]types.UID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.of(namespace).live)
}

// names by UID, of all that ever lived in a namespace.
func (b *births) names(namespace string) map[types.UID]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.of(namespace).names)
}

// seen are the kinds of which a namespace ever had an object.
func (b *births) seen(namespace string) []kind {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.of(namespace).kinds))
}
