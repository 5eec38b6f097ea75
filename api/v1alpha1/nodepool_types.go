package v1alpha1

// NodePool is a set of equal worker machines.
//
// +kubebuilder:validation:XValidation:rule="has(self.replicas) != has(self.autoscaling)",message="set exactly one of replicas and autoscaling"
// +kubebuilder:validation:XValidation:rule="(has(self.objectName) && size(self.objectName) > 0) == (has(oldSelf.objectName) && size(oldSelf.objectName) > 0) && (!has(self.objectName) || !has(oldSelf.objectName) || self.objectName == oldSelf.objectName)",message="objectName is immutable: make a new node pool instead"
type NodePool struct {
	// name of the pool, unique in the cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self != 'kcp'",message="the name kcp is reserved: the control plane's objects are called that way"
	// +required
	Name string `json:"name"`
	// replicas: number of machines.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// autoscaling leaves the number to the cluster autoscaler.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`
	// machine size.
	// +required
	Machine Machine `json:"machine"`
	// labels of the nodes. Labels outside node-role.kubernetes.io, node-restriction.kubernetes.io and
	// node.cluster.x-k8s.io go through the kubelet: changing them re-creates the machines.
	// +kubebuilder:validation:MaxProperties=50
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// taints of the nodes. They go through the kubelet: changing them re-creates the machines.
	// +listType=map
	// +listMapKey=key
	// +listMapKey=effect
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Taints []Taint `json:"taints,omitempty"`
	// rollout strategy.
	// +optional
	Rollout PoolRollout `json:"rollout,omitempty"`
	// healthCheck of the machines.
	// +optional
	HealthCheck HealthCheck `json:"healthCheck,omitempty"`
	// failureDomain to place the machines in, by its name in spec.failureDomains.
	// +kubebuilder:validation:MaxLength=15
	// +optional
	FailureDomain string `json:"failureDomain,omitempty"`
	// objectName is the MachineDeployment's name, for adoption. Immutable. Default: cluster-pool.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$`
	// +optional
	ObjectName string `json:"objectName,omitempty"`
}

// Autoscaling bounds a pool for the cluster autoscaler.
//
// +kubebuilder:validation:XValidation:rule="self.min <= self.max",message="autoscaling.min is at most autoscaling.max"
type Autoscaling struct {
	// min machines; also the number at creation.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +required
	Min int32 `json:"min"`
	// max machines.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +required
	Max int32 `json:"max"`
}

// Taint of a node.
type Taint struct {
	// key of the taint.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key"`
	// value of the taint.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Value string `json:"value,omitempty"`
	// effect on pods that do not tolerate the taint.
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	// +required
	Effect string `json:"effect"`
}

// PoolRollout says how a pool's machines are replaced.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && self.maxSurge == 0 && (!has(self.maxUnavailable) || self.maxUnavailable == 0))",message="maxSurge and maxUnavailable cannot both be 0: nothing could ever be replaced"
type PoolRollout struct {
	// maxSurge: how many machines may be added while rolling. Default 1.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxSurge *int32 `json:"maxSurge,omitempty"`
	// maxUnavailable: how many machines may be missing while rolling. Default 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxUnavailable *int32 `json:"maxUnavailable,omitempty"`
}
