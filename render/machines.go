package render

import (
	"cmp"
	"strconv"

	"github.com/refract-dev/refract/api/v1alpha1"
)

func (b base) controlPlane() object {
	cp := b.cluster.Spec.ControlPlane
	spec := tree{
		"replicas":          number(cp.Replicas),
		"version":           b.kubernetes.Version,
		"kubeadmConfigSpec": b.controlPlaneConfig(),
	}
	set(spec, ref(groupInfrastructure, kindNutanixMachineTemplate, b.controlPlaneName()), "machineTemplate", "spec", "infrastructureRef")
	rolling(spec, cp.Rollout.MaxSurge, nil)
	return b.object(versionControlPlane, kindKubeadmControlPlane, b.controlPlaneName(), spec)
}

func (b base) machineDeployment(pool v1alpha1.NodePool) object {
	machine := tree{
		"clusterName":       b.name(),
		"version":           b.kubernetes.Version,
		"infrastructureRef": ref(groupInfrastructure, kindNutanixMachineTemplate, b.poolBase(pool.Name)),
		"bootstrap":         tree{"configRef": ref(groupBootstrap, kindKubeadmConfigTemplate, b.poolBase(pool.Name))},
	}
	if pool.FailureDomain != "" {
		machine["failureDomain"] = b.failureDomainName(pool.FailureDomain)
	}
	// The selector is left to Cluster API, which makes one of the object's name; an adopted one may have another.
	spec := tree{"clusterName": b.name(), "template": tree{"spec": machine}}
	sorted(syncedLabels(pool.Labels), func(k, v string) { set(spec, v, "template", "metadata", "labels", k) })
	setNumber(spec, pool.Replicas, "replicas")
	rolling(spec, pool.Rollout.MaxSurge, pool.Rollout.MaxUnavailable)
	o := b.object(versionCore, kindMachineDeployment, b.poolName(pool), spec)
	if a := pool.Autoscaling; a != nil {
		o.SetAnnotations(map[string]string{
			autoscalerMinAnnotation: strconv.Itoa(int(a.Min)), autoscalerMaxAnnotation: strconv.Itoa(int(a.Max)),
		})
		o.atCreation = []field{{replicasPath, number(a.Min)}}
	}
	return o
}

// replicasPath is where a MachineDeployment has its replicas.
var replicasPath = []string{"spec", "replicas"}

// Annotations of Cluster API that the cluster autoscaler reads.
const (
	autoscalerMinAnnotation = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size"
	autoscalerMaxAnnotation = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"
)

// rolling sets the rollout strategy, unless nobody has an opinion about it.
func rolling(spec tree, maxSurge, maxUnavailable *int32) {
	if maxSurge == nil && maxUnavailable == nil {
		return
	}
	set(spec, "RollingUpdate", "rollout", "strategy", "type")
	setNumber(spec, maxSurge, "rollout", "strategy", "rollingUpdate", "maxSurge")
	setNumber(spec, maxUnavailable, "rollout", "strategy", "rollingUpdate", "maxUnavailable")
}

func (b base) controlPlaneTemplate() object {
	cp := b.cluster.Spec.ControlPlane
	return b.machineTemplate(b.controlPlaneName(), cp.Machine, len(cp.FailureDomains) > 0)
}

func (b base) poolTemplate(pool v1alpha1.NodePool) object {
	return b.machineTemplate(b.poolBase(pool.Name), pool.Machine, pool.FailureDomain != "")
}

// machineTemplate makes a NutanixMachineTemplate. placed says that failure domains choose Prism Element and subnets: CAPX
// writes both into each NutanixMachine, so the template has neither, as in CAPX's own template with failure domains.
func (b base) machineTemplate(name string, m v1alpha1.Machine, placed bool) object {
	defaults := b.cluster.Spec.MachineDefaults
	machine := tree{
		"vcpuSockets":    number(m.VCPUSockets),
		"vcpusPerSocket": number(cmp.Or(m.VCPUsPerSocket, 1)),
		"memorySize":     m.Memory.String(),
		"systemDiskSize": m.SystemDisk.String(),
	}
	if !placed {
		machine["cluster"] = identifier(defaults.PrismElement)
		setList(machine, defaults.Subnets, identifier, "subnet")
	}
	setUnlessZero(machine, string(b.os.BootType), "bootType")
	if b.os.Image != nil {
		machine["image"] = identifier(*b.os.Image)
	}
	if lookup := b.os.ImageLookup; lookup != nil {
		set(machine, lookup.BaseOS, "imageLookup", "baseOS")
		setUnlessZero(machine, lookup.Format, "imageLookup", "format")
	}
	setList(machine, defaults.Categories, func(c v1alpha1.Category) any {
		return tree{"key": c.Key, "value": c.Value}
	}, "additionalCategories")
	if defaults.Project != nil {
		machine["project"] = identifier(*defaults.Project)
	}
	setList(machine, m.GPUs, gpu, "gpus")
	if len(m.DataDisks) > 0 {
		machine["dataDisks"] = dataDisks(m.DataDisks)
	}
	return b.object(versionInfrastructure, kindNutanixMachineTemplate, name, tree{"template": tree{"spec": machine}})
}

func (b base) poolConfig(pool v1alpha1.NodePool) object {
	spec := tree{"template": tree{"spec": b.workerConfig(pool)}}
	return b.object(versionBootstrap, kindKubeadmConfigTemplate, b.poolBase(pool.Name), spec)
}

func (b base) controlPlaneHealthCheck() object {
	return b.healthCheck(b.controlPlaneName(), b.cluster.Spec.ControlPlane.HealthCheck, 34,
		"cluster.x-k8s.io/control-plane", "")
}

func (b base) poolHealthCheck(pool v1alpha1.NodePool) object {
	return b.healthCheck(b.poolBase(pool.Name), pool.HealthCheck, 40,
		"cluster.x-k8s.io/deployment-name", b.poolName(pool))
}

// unhealthyTimeout is the default of HealthCheck.UnhealthyTimeoutSeconds, CAPX's own.
const unhealthyTimeout int32 = 300

// healthCheck makes a MachineHealthCheck with the conditions of CAPX's own template. label selects the machines.
func (b base) healthCheck(name string, h v1alpha1.HealthCheck, maxUnhealthy int32, label, value string) object {
	timeout := number(or(h.UnhealthyTimeoutSeconds, unhealthyTimeout))
	var conditions list
	for _, c := range [][2]string{
		{"Ready", "False"},
		{"Ready", "Unknown"},
		{"MemoryPressure", "True"},
		{"DiskPressure", "True"},
		{"PIDPressure", "True"},
		{"NetworkUnavailable", "True"},
	} {
		conditions = append(conditions, tree{"type": c[0], "status": c[1], "timeoutSeconds": timeout})
	}
	percent := strconv.Itoa(int(or(h.MaxUnhealthyPercent, maxUnhealthy))) + "%"
	spec := tree{
		"clusterName": b.name(),
		"selector":    tree{"matchLabels": tree{clusterNameLabel: b.name(), label: value}},
		"checks":      tree{"unhealthyNodeConditions": conditions},
		"remediation": tree{"triggerIf": tree{"unhealthyLessThanOrEqualTo": percent}},
	}
	setNumber(spec, h.NodeStartupTimeoutSeconds, "checks", "nodeStartupTimeoutSeconds")
	return b.object(versionCore, kindMachineHealthCheck, name, spec)
}
