package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render"
)

// clusterGVK is the kind that a cluster begins and ends with.
var clusterGVK = schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"}

// nutanixClusterGVK is what CAPX makes a cluster's infrastructure of.
var nutanixClusterGVK = infrastructure("NutanixCluster")

func infrastructure(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta1", Kind: kind}
}

// inventoryKinds are the kinds that are watched for drift, by metadata alone. Without room to spare: who appends gets a copy.
var inventoryKinds = slices.Clip(render.Kinds())

// namespaceGVK is watched for the label that protects it.
var namespaceGVK = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// machineGVK is watched for health.
var machineGVK = schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Machine"}

// What this version works with; docs and README say the same.
const (
	// SupportedKubernetes is the oldest version of a management cluster.
	SupportedKubernetes = "1.33"
	// SupportedCAPI are the versions of Cluster API.
	SupportedCAPI = "1.13 to 1.14"
	// SupportedCAPX are the versions of the Nutanix provider.
	SupportedCAPX = "1.9 to 1.10"
)

// supportAgain is how soon an unsupported management cluster is looked at again.
const supportAgain = 30 * time.Second

// support says whether the management cluster is one that Refract works on: Kubernetes, Cluster API and CAPX of
// supported versions. Where it is not, every object says so in its conditions, and nothing is written.
type support struct {
	reader    client.Reader
	discovery discovery.ServerVersionInterface
	// ready runs once when the check first succeeds: it starts the watches on kinds that exist now.
	ready func(ctx context.Context) error

	mu sync.Mutex
	ok bool
}

// check passes for good once it has passed.
func (s *support) check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ok {
		return nil
	}
	if err := s.kubernetes(); err != nil {
		return err
	}
	for _, kind := range append(inventoryKinds, machineGVK) {
		if err := s.served(ctx, kind); err != nil {
			return err
		}
	}
	if s.ready != nil {
		if err := s.ready(ctx); err != nil {
			return fmt.Errorf("starting watches: %w", err)
		}
	}
	s.ok = true
	return nil
}

func (s *support) kubernetes() error {
	info, err := s.discovery.ServerVersion()
	if err != nil {
		return fmt.Errorf("reading the API server's version: %w", err)
	}
	have, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return nil //nolint:nilerr // a version of an unknown form is not refused
	}
	if have.LessThan(version.MustParseGeneric(SupportedKubernetes)) {
		return wait(v1alpha1.UnsupportedReason, supportAgain, "the management cluster runs Kubernetes %s; Refract needs %s or newer. Upgrade it", info.GitVersion, SupportedKubernetes)
	}
	return nil
}

// served checks that a kind is served in the version that Refract writes.
func (s *support) served(ctx context.Context, kind schema.GroupVersionKind) error {
	if kind.Group == "" {
		return nil
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	name := resourceOf(kind) + "." + kind.Group
	if err := s.reader.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
		if apierrors.IsNotFound(err) {
			return wait(v1alpha1.UnsupportedReason, supportAgain, "the management cluster has no %s (CustomResourceDefinition %s): install Cluster API %s with the kubeadm providers, and CAPX %s", kind.Kind, name, SupportedCAPI, SupportedCAPX)
		}
		return fmt.Errorf("reading CustomResourceDefinition %s: %w", name, err)
	}
	for _, v := range crd.Spec.Versions {
		if v.Name == kind.Version && v.Served {
			return nil
		}
	}
	return wait(v1alpha1.UnsupportedReason, supportAgain, "CustomResourceDefinition %s does not serve %s: upgrade to Cluster API %s and CAPX %s", name, kind.Version, SupportedCAPI, SupportedCAPX)
}

// resourceOf is the plural by which the CRD of a kind is named; all of ours are regular.
func resourceOf(kind schema.GroupVersionKind) string {
	plural := []byte(kind.Kind + "s")
	for i, b := range plural {
		if b >= 'A' && b <= 'Z' {
			plural[i] = b + 'a' - 'A'
		}
	}
	return string(plural)
}
