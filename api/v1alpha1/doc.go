// Package v1alpha1 holds what people write: Fleet, CloudAccount, ClusterProfile and NutanixClusterSpec of the API group
// refract.dev, and what Refract reports about them.
//
// Files in Git and objects in the management cluster have the same form. An object that a Fleet mirrors always holds
// the last accepted state of its file.
//
// +kubebuilder:object:generate=true
// +groupName=refract.dev
package v1alpha1
