package render

// cause names the fields of the input that a rendered field comes from; the one that says its value is first.
//
// Their first word tells where they are: owner is what the object is rendered from (the control plane, a node pool, a
// failure domain), defaults are the cluster's machineDefaults, made:Kind stands for all that an object of that kind and
// of the same owner is made of, since its name tells its content.
type cause struct {
	field   string
	sources []string
}

func from(field string, sources ...string) cause { return cause{field, sources} }

// causes are looked through in order, and the first field that holds the changed one counts.
var causes = map[string][]cause{
	kindCluster: {
		from("spec.clusterNetwork.pods", "cluster.network.podCIDRs"),
		from("spec.clusterNetwork.services", "cluster.network.serviceCIDRs"),
		from("spec.clusterNetwork.serviceDomain", "cluster.network.serviceDomain"),
		from("spec.clusterNetwork", "cluster.network"),
		from("spec.paused", "cluster.paused"),
		from("metadata.labels[refract.dev/protect]", "cluster.deletionPolicy"),
	},
	kindNutanixCluster: {
		from("spec.controlPlaneEndpoint.host", "cluster.controlPlane.endpoint.host"),
		from("spec.controlPlaneEndpoint.port", "cluster.controlPlane.endpoint.port"),
		from("spec.controlPlaneEndpoint", "cluster.controlPlane.endpoint"),
		from("spec.prismCentral.address", "account.endpoint.address"),
		from("spec.prismCentral.port", "account.endpoint.port"),
		from("spec.prismCentral.insecure", "account.insecure"),
		from("spec.prismCentral.additionalTrustBundle", "account.trustBundleRef"),
		from("spec.prismCentral", "account"),
		from("spec.controlPlaneFailureDomains", "cluster.controlPlane.failureDomains", "made:"+kindNutanixFailureDomain),
	},
	kindNutanixFailureDomain: {
		from("spec.prismElementCluster", "owner.prismElement"),
		from("spec.subnets", "owner.subnets"),
	},
	kindKubeadmControlPlane: append([]cause{
		from("spec.replicas", "owner.replicas"),
		from("spec.version", "kubernetes.version"),
		from("spec.rollout", "owner.rollout.maxSurge"),
		from("spec.machineTemplate.spec.infrastructureRef", "made:"+kindNutanixMachineTemplate),
	}, kubeadmCauses("spec.kubeadmConfigSpec")...),
	kindKubeadmConfigTemplate: kubeadmCauses("spec.template.spec"),
	kindMachineDeployment: {
		from("spec.replicas", "owner.replicas", "owner.autoscaling"),
		from("spec.template.spec.version", "kubernetes.version"),
		from("spec.template.spec.failureDomain", "owner.failureDomain", "made:"+kindNutanixFailureDomain),
		from("spec.template.spec.infrastructureRef", "made:"+kindNutanixMachineTemplate),
		from("spec.template.spec.bootstrap", "made:"+kindKubeadmConfigTemplate),
		from("spec.template.metadata.labels", "owner.labels"),
		from("spec.rollout.strategy.rollingUpdate.maxSurge", "owner.rollout.maxSurge"),
		from("spec.rollout.strategy.rollingUpdate.maxUnavailable", "owner.rollout.maxUnavailable"),
		from("spec.rollout", "owner.rollout"),
		from("metadata.annotations["+autoscalerMinAnnotation+"]", "owner.autoscaling.min"),
		from("metadata.annotations["+autoscalerMaxAnnotation+"]", "owner.autoscaling.max"),
		from("metadata.annotations", "owner.autoscaling"),
	},
	kindNutanixMachineTemplate: machineCauses("spec.template.spec"),
	kindMachineHealthCheck: {
		from("spec.checks.unhealthyNodeConditions", "owner.healthCheck.unhealthyTimeoutSeconds"),
		from("spec.checks.nodeStartupTimeoutSeconds", "owner.healthCheck.nodeStartupTimeoutSeconds"),
		from("spec.remediation", "owner.healthCheck.maxUnhealthyPercent"),
		from("spec.selector", "owner.objectName"),
		from("", "owner.healthCheck.enabled", "owner.name", "owner.objectName"),
	},
}

// deliveredCauses are those of the objects that bring the cloud controller manager into a cluster.
var deliveredCauses = []cause{
	from("", "kubernetes.cloudControllerManager", "kubernetes.tlsCipherSuites", "account.endpoint", "account.insecure",
		"account.trustBundleRef", "cluster.controlPlane.endpoint.host"),
}

func machineCauses(at string) []cause {
	return []cause{
		from(at+".vcpuSockets", "owner.machine.vcpuSockets"),
		from(at+".vcpusPerSocket", "owner.machine.vcpusPerSocket"),
		from(at+".memorySize", "owner.machine.memory"),
		from(at+".systemDiskSize", "owner.machine.systemDisk"),
		from(at+".cluster", "defaults.prismElement", "owner.failureDomain", "owner.failureDomains"),
		from(at+".subnet", "defaults.subnets", "owner.failureDomain", "owner.failureDomains"),
		from(at+".bootType", "os.bootType"),
		from(at+".image", "os.image"),
		from(at+".imageLookup.baseOS", "os.imageLookup.baseOS"),
		from(at+".imageLookup.format", "os.imageLookup.format"),
		from(at+".imageLookup", "os.imageLookup"),
		from(at+".additionalCategories", "defaults.categories"),
		from(at+".project", "defaults.project"),
		from(at+".gpus", "owner.machine.gpus"),
		from(at+".dataDisks", "owner.machine.dataDisks"),
	}
}

func kubeadmCauses(at string) []cause {
	flags := func(component string, own string) cause {
		return from(at+".clusterConfiguration."+component+".extraArgs", "kubernetes."+own, "kubernetes.tlsCipherSuites")
	}
	const kubeVip = "[/etc/kubernetes/manifests/kube-vip.yaml]"
	kubelet := []string{"kubernetes.kubeletExtraArgs", "kubernetes.tlsCipherSuites", "owner.labels"}
	return []cause{
		from(at+".preKubeadmCommands", "os.preKubeadmCommands", "kubernetes.version"),
		from(at+".postKubeadmCommands", "os.postKubeadmCommands", "kubernetes.version"),
		from(at+".files"+kubeVip, "kubernetes.kubeVip", "cluster.controlPlane.endpoint"),
		from(at+".files", "os.files", "kubernetes.kubeVip", "cluster.controlPlane.endpoint"),
		from(at+".users", "defaults.sshAuthorizedKeys", "os.user"),
		from(at+".clusterConfiguration.apiServer.certSANs", "kubernetes.certSANs"),
		flags("apiServer", "apiServerExtraArgs"),
		flags("controllerManager", "controllerManagerExtraArgs"),
		flags("scheduler", "schedulerExtraArgs"),
		from(at+".clusterConfiguration.imageRepository", "kubernetes.imageRepository"),
		from(at+".initConfiguration.nodeRegistration.kubeletExtraArgs", kubelet...),
		from(at+".joinConfiguration.nodeRegistration.kubeletExtraArgs", kubelet...),
		from(at+".joinConfiguration.nodeRegistration.taints", "owner.taints"),
	}
}

// causesOf returns the fields of the input that a field of an object comes from, as the table has them.
func causesOf(o *object, field steps) []string {
	table := causes[o.GetKind()]
	if o.delivered {
		table = deliveredCauses
	}
	for _, c := range table {
		if !field.within(stepsOf(c.field)) || c.field == "" && len(field) > 0 && !o.delivered {
			continue
		}
		return c.sources
	}
	return nil
}
