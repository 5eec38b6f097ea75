package controllers

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// cacheOptions keep of other people's objects only metadata, and only of those that carry a label of ours or, for
// Machines, of Cluster API.
func cacheOptions(config *rest.Config) (cache.Options, error) {
	by := map[client.Object]cache.ByObject{}
	for _, kind := range inventoryKinds {
		by[partial(kind)] = cache.ByObject{Label: has(v1alpha1.ClusterLabel)}
	}
	by[partial(machineGVK)] = cache.ByObject{Label: has("cluster.x-k8s.io/cluster-name")}
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		return cache.Options{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, c)
	if err != nil {
		return cache.Options{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	return cache.Options{ByObject: by, Mapper: knownMapper{mapper}, DefaultTransform: cache.TransformStripManagedFields()}, nil
}

// knownMapper answers for the kinds of Cluster API and CAPX without asking the API server, which may not have them yet:
// a cache that is told of them would refuse to start.
type knownMapper struct{ meta.RESTMapper }

// RESTMapping implements meta.RESTMapper.
func (m knownMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	for _, known := range append(inventoryKinds, machineGVK) {
		if known.Group != "" && known.GroupKind() == kind && (len(versions) == 0 || slices.Contains(versions, known.Version)) {
			return &meta.RESTMapping{
				Resource: known.GroupVersion().WithResource(resourceOf(known)), GroupVersionKind: known, Scope: meta.RESTScopeNamespace,
			}, nil
		}
	}
	return m.RESTMapper.RESTMapping(kind, versions...)
}
