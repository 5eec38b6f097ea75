package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterProfileSpec is one version of a stack of layers. It is immutable from first use: another content under the
// same profile and version is an error.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'AddOn' ? !self.layers.exists(l, l.type == 'OS' || l.type == 'Kubernetes') : self.layers.exists_one(l, l.type == 'OS') && self.layers.exists_one(l, l.type == 'Kubernetes')",message="a profile of type Infra or Full has exactly one OS and one Kubernetes layer; an AddOn profile has none"
// +kubebuilder:validation:XValidation:rule="self.type != 'Infra' || !self.layers.exists(l, l.type == 'AddOn')",message="a profile of type Infra has no AddOn layer: make it Full, or move the layer to a profile of type AddOn"
type ClusterProfileSpec struct {
	// profile name; versions are grouped under it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Profile string `json:"profile"`
	// version, semantic: major.minor.patch.
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`
	// +kubebuilder:validation:MaxLength=64
	// +required
	Version string `json:"version"`
	// type: Infra (OS, Kubernetes, Network, Storage), Full (also AddOn) or AddOn. A cluster has one Infra or Full
	// profile and any number of AddOn profiles. Default Full.
	// +kubebuilder:validation:Enum=Infra;Full;AddOn
	// +kubebuilder:default=Full
	// +optional
	Type ProfileType `json:"type,omitempty"`
	// cloud type. Only nutanix.
	// +kubebuilder:validation:Enum=nutanix
	// +kubebuilder:default=nutanix
	// +optional
	Cloud string `json:"cloud,omitempty"`
	// variables that layers and patches may use as ${{ name }}.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Variables []Variable `json:"variables,omitempty"`
	// layers in the order in which they are applied within their type.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +required
	Layers []Layer `json:"layers"`
}

// ProfileType says which layers a profile may have.
type ProfileType string

// Types of profiles.
const (
	// ProfileInfra holds OS, Kubernetes, Network and Storage layers.
	ProfileInfra ProfileType = "Infra"
	// ProfileFull holds layers of every type.
	ProfileFull ProfileType = "Full"
	// ProfileAddOn holds Network, Storage and AddOn layers, to be used beside an Infra or Full profile.
	ProfileAddOn ProfileType = "AddOn"
)

// VariableFormat is the form that a variable's value must have.
//
// +kubebuilder:validation:Enum=string;number;boolean;ipv4;cidr;version
type VariableFormat string

// Formats of variables.
const (
	// FormatString takes any value.
	FormatString VariableFormat = "string"
	// FormatNumber takes a decimal number.
	FormatNumber VariableFormat = "number"
	// FormatBoolean takes true or false.
	FormatBoolean VariableFormat = "boolean"
	// FormatIPv4 takes an IPv4 address.
	FormatIPv4 VariableFormat = "ipv4"
	// FormatCIDR takes an IP prefix.
	FormatCIDR VariableFormat = "cidr"
	// FormatVersion takes a semantic version, with or without a leading v.
	FormatVersion VariableFormat = "version"
)

// Variable is declared by a profile and set by a cluster.
type Variable struct {
	// name, used as ${{ name }}.
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`
	// format of the value. Default string.
	// +kubebuilder:default=string
	// +optional
	Format VariableFormat `json:"format,omitempty"`
	// default value. Without one, each cluster must set the variable.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Default *string `json:"default,omitempty"`
	// description for people.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`
}

// LayerType orders layers: OS, Kubernetes, Network, Storage, AddOn.
//
// +kubebuilder:validation:Enum=OS;Kubernetes;Network;Storage;AddOn
type LayerType string

// Types of layers, in the order in which they are rendered.
const (
	// LayerOS is the machine image and what runs before and after kubeadm.
	LayerOS LayerType = "OS"
	// LayerKubernetes is the Kubernetes version and what every control plane needs.
	LayerKubernetes LayerType = "Kubernetes"
	// LayerNetwork is the network plugin.
	LayerNetwork LayerType = "Network"
	// LayerStorage is the storage plugin.
	LayerStorage LayerType = "Storage"
	// LayerAddOn is anything else that runs inside the cluster.
	LayerAddOn LayerType = "AddOn"
)

// Layer is one part of the stack.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'OS') == has(self.os)",message="a layer of type OS has os, and no other layer has"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Kubernetes') == has(self.kubernetes)",message="a layer of type Kubernetes has kubernetes, and no other layer has"
// +kubebuilder:validation:XValidation:rule="self.type in ['OS', 'Kubernetes'] ? !has(self.kustomize) && !has(self.manifests) : has(self.kustomize) != has(self.manifests)",message="a layer of type Network, Storage or AddOn has exactly one of kustomize and manifests"
type Layer struct {
	// name of the layer, unique in the profile.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['ca', 'etcd', 'sa', 'proxy', 'kubeconfig', 'ccm', 'ccm-credentials', 'pc-ca', 'pc-credentials'])",message="this layer name is reserved: an object of the cluster is called that way"
	// +required
	Name string `json:"name"`
	// type of the layer.
	// +required
	Type LayerType `json:"type"`
	// os, for type OS.
	// +optional
	OS *OSLayer `json:"os,omitempty"`
	// kubernetes, for type Kubernetes.
	// +optional
	Kubernetes *KubernetesLayer `json:"kubernetes,omitempty"`
	// kustomize builds the layer's workload objects from a directory.
	// +optional
	Kustomize *KustomizeSource `json:"kustomize,omitempty"`
	// manifests are the layer's workload objects in plain files.
	// +optional
	Manifests *ManifestsSource `json:"manifests,omitempty"`
	// patches on the rendered Cluster API objects (types OS and Kubernetes) or on the layer's own objects (other types).
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Patches []Patch `json:"patches,omitempty"`
}

// KustomizeSource is a directory with a kustomization.yaml.
type KustomizeSource struct {
	// path of the directory, relative to the file that names it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Path string `json:"path"`
}

// ManifestsSource is a list of YAML files.
type ManifestsSource struct {
	// paths of the files, relative to the file that names them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +required
	Paths []string `json:"paths"`
}

// BootType of a virtual machine.
//
// +kubebuilder:validation:Enum=legacy;uefi
type BootType string

// OSLayer is the machine image and what runs around kubeadm.
//
// +kubebuilder:validation:XValidation:rule="has(self.image) != has(self.imageLookup)",message="set exactly one of image and imageLookup"
type OSLayer struct {
	// image to clone machines from.
	// +optional
	Image *Identifier `json:"image,omitempty"`
	// imageLookup finds the newest image whose name matches.
	// +optional
	ImageLookup *ImageLookup `json:"imageLookup,omitempty"`
	// bootType of the machines. Default: Prism Central's.
	// +optional
	BootType BootType `json:"bootType,omitempty"`
	// preKubeadmCommands run before kubeadm on every machine, after Refract's own.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	// +optional
	PreKubeadmCommands []string `json:"preKubeadmCommands,omitempty"`
	// postKubeadmCommands run after kubeadm on every machine.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	// +optional
	PostKubeadmCommands []string `json:"postKubeadmCommands,omitempty"`
	// files to write on every machine before kubeadm runs, by path.
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Files []File `json:"files,omitempty"`
	// user that sshAuthorizedKeys are installed for. Default capiuser, as in the provider's template.
	// +kubebuilder:validation:Pattern=`^[a-z_][a-z0-9_-]*$`
	// +kubebuilder:validation:MaxLength=32
	// +optional
	User string `json:"user,omitempty"`
}

// ImageLookup finds an image by a pattern.
type ImageLookup struct {
	// baseOS is substituted for {{.BaseOS}} in format.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +required
	BaseOS string `json:"baseOS"`
	// format of the image name. Default, by CAPX: capx-{{.BaseOS}}-{{.K8sVersion}}-*.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Format string `json:"format,omitempty"`
}

// File is written on a machine before kubeadm runs.
type File struct {
	// path on the machine.
	// +kubebuilder:validation:Pattern=`^/`
	// +kubebuilder:validation:MaxLength=512
	// +required
	Path string `json:"path"`
	// content of the file.
	// +kubebuilder:validation:MaxLength=10240
	// +required
	Content string `json:"content"`
	// permissions, octal. Default "0644".
	// +kubebuilder:validation:Pattern=`^0[0-7]{3}$`
	// +optional
	Permissions string `json:"permissions,omitempty"`
	// owner, user:group. Default root:root.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Owner string `json:"owner,omitempty"`
}

// KubernetesLayer is the Kubernetes version and what every control plane needs.
type KubernetesLayer struct {
	// version of Kubernetes, with a leading v.
	// +kubebuilder:validation:Pattern=`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`
	// +kubebuilder:validation:MaxLength=64
	// +required
	Version string `json:"version"`
	// kubeVip announces the control-plane endpoint.
	// +required
	KubeVip KubeVip `json:"kubeVip"`
	// cloudControllerManager runs the Nutanix cloud controller manager inside the cluster. Without it nodes stay
	// uninitialized until a layer brings one.
	// +optional
	CloudControllerManager *CloudControllerManager `json:"cloudControllerManager,omitempty"`
	// imageRepository for kubeadm's images. Default: kubeadm's own.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	ImageRepository string `json:"imageRepository,omitempty"`
	// certSANs are added to the API server's certificate, beside the endpoint.
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	CertSANs []string `json:"certSANs,omitempty"`
	// tlsCipherSuites for API server and kubelet, comma-separated. Default: Kubernetes'.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	TLSCipherSuites string `json:"tlsCipherSuites,omitempty"`
	// apiServerExtraArgs are flags of kube-apiserver, without dashes.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	APIServerExtraArgs map[string]string `json:"apiServerExtraArgs,omitempty"`
	// controllerManagerExtraArgs are flags of kube-controller-manager, without dashes.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	ControllerManagerExtraArgs map[string]string `json:"controllerManagerExtraArgs,omitempty"`
	// schedulerExtraArgs are flags of kube-scheduler, without dashes.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	SchedulerExtraArgs map[string]string `json:"schedulerExtraArgs,omitempty"`
	// kubeletExtraArgs are flags of every kubelet, without dashes.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	KubeletExtraArgs map[string]string `json:"kubeletExtraArgs,omitempty"`
}

// KubeVip announces the control-plane endpoint by ARP from a static pod.
type KubeVip struct {
	// image with its tag or digest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Image string `json:"image"`
	// interface to announce on. Default: the one with the default route.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Interface string `json:"interface,omitempty"`
	// services has kube-vip serve Services of type LoadBalancer, too. Default false.
	// +optional
	Services bool `json:"services,omitempty"`
}

// CloudControllerManager is the Nutanix cloud controller manager.
type CloudControllerManager struct {
	// image with its tag or digest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Image string `json:"image"`
}

// ClusterProfileStatus is what Refract reports about a profile version.
type ClusterProfileStatus struct {
	// observedGeneration is the generation that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// contentDigest covers spec and built layers, from first use.
	// +optional
	ContentDigest string `json:"contentDigest,omitempty"`
	// layers that were built, and the Secrets that hold them.
	// +listType=map
	// +listMapKey=name
	// +optional
	Layers []BuiltLayer `json:"layers,omitempty"`
	// conditions: Ready, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BuiltLayer is a layer built from its files, before variables.
type BuiltLayer struct {
	// name of the layer.
	Name string `json:"name"`
	// digest of the built objects.
	Digest string `json:"digest"`
	// secrets hold the gzipped objects, in order.
	Secrets []string `json:"secrets"`
}

// ClusterProfile is one version of a stack of layers.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="refract.dev/protect=true"
// +kubebuilder:resource:shortName=rcp,categories=refract
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.spec.profile`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what people write.
	// +required
	Spec ClusterProfileSpec `json:"spec"`
	// status is what Refract reports.
	// +optional
	Status ClusterProfileStatus `json:"status,omitempty"`
}

// ClusterProfileList is a list of ClusterProfiles.
//
// +kubebuilder:object:root=true
type ClusterProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterProfile `json:"items"`
}

// GetConditions returns the conditions, for fluxcd/pkg/runtime.
func (p *ClusterProfile) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions, for fluxcd/pkg/runtime.
func (p *ClusterProfile) SetConditions(c []metav1.Condition) { p.Status.Conditions = c }
