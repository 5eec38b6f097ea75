package v1alpha1

// CIDR is an IP prefix.
//
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="not a valid CIDR such as 172.20.0.0/16"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || cidr(self) == cidr(self).masked()",message="the CIDR has bits set beyond its prefix: write 172.20.0.0/16, not 172.20.1.0/16"
type CIDR string

// Network of a cluster.
//
// +kubebuilder:validation:XValidation:rule="!has(self.podCIDRs) || !has(self.serviceCIDRs) || self.podCIDRs.all(p, !isCIDR(p) || self.serviceCIDRs.all(s, !isCIDR(s) || (!cidr(p).containsIP(cidr(s).ip()) && !cidr(s).containsIP(cidr(p).ip()))))",message="podCIDRs and serviceCIDRs overlap"
type Network struct {
	// podCIDRs: one, or one IPv4 and one IPv6. Default 172.20.0.0/16, as in the provider's template.
	// +kubebuilder:default={"172.20.0.0/16"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:rule="self.size() < 2 || !self.all(c, isCIDR(c)) || cidr(self[0]).ip().family() != cidr(self[1]).ip().family()",message="two CIDRs are one IPv4 and one IPv6"
	// +optional
	PodCIDRs []CIDR `json:"podCIDRs,omitempty"`
	// serviceCIDRs: one, or one IPv4 and one IPv6. Default 172.19.0.0/16, as in the provider's template.
	// +kubebuilder:default={"172.19.0.0/16"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:rule="self.size() < 2 || !self.all(c, isCIDR(c)) || cidr(self[0]).ip().family() != cidr(self[1]).ip().family()",message="two CIDRs are one IPv4 and one IPv6"
	// +optional
	ServiceCIDRs []CIDR `json:"serviceCIDRs,omitempty"`
	// serviceDomain of the cluster. Default cluster.local.
	// +kubebuilder:default=cluster.local
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`
	// +optional
	ServiceDomain string `json:"serviceDomain,omitempty"`
}
