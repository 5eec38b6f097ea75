package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "refract.dev", Version: "v1alpha1"}

// Kinds of this package, as written in the kind field of a file.
const (
	FleetKind              = "Fleet"
	CloudAccountKind       = "CloudAccount"
	ClusterProfileKind     = "ClusterProfile"
	NutanixClusterSpecKind = "NutanixClusterSpec"
)

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Fleet{}, &FleetList{},
		&CloudAccount{}, &CloudAccountList{},
		&ClusterProfile{}, &ClusterProfileList{},
		&NutanixClusterSpec{}, &NutanixClusterSpecList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
