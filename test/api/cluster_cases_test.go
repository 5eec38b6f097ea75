package api

import (
	"maps"
	"strings"
)

func letters(n int) string { return strings.Repeat("a", n) }

func clusterRules() map[string]rule {
	all := map[string]rule{
		"NameAtLimit":        {reason: "30 characters fit", set: fields{"metadata/name": letters(30)}},
		"NameTooLong":        {reason: "31 do not", set: fields{"metadata/name": letters(31)}, refuse: "a cluster name has at most 30 characters"},
		"NameWithDot":        {reason: "a dot would split host names", set: fields{"metadata/name": "edge.01"}, refuse: "a cluster name has no dots: host names are made of it"},
		"AccountMissing":     {reason: "no Prism Central", set: fields{"spec/accountRef": nil}, refuse: "spec.accountRef: Required value"},
		"ProfilesNone":       {reason: "nothing to build from", set: fields{"spec/profiles": []any{}}, refuse: "spec.profiles"},
		"ProfileTwice":       {reason: "which version?", set: fields{"spec/profiles/1": fields{"name": "standard", "version": "2.0.0"}}, refuse: "Duplicate value"},
		"DeletionUnknown":    {reason: "Protect, Orphan or Delete", set: fields{"spec/deletionPolicy": "Keep"}, refuse: "spec.deletionPolicy"},
		"DriftUnknown":       {reason: "Correct or Report", set: fields{"spec/drift/objects": "Ignore"}, refuse: "spec.drift.objects"},
		"DriftRepair":        {reason: "power and categories come back", set: fields{"spec/drift/machines": "Repair"}},
		"DriftCorrectOfVMs":  {reason: "a machine is never re-created as a repair", set: fields{"spec/drift/machines": "Correct"}, refuse: "spec.drift.machines"},
		"DriftPathNoPointer": {reason: "JSON pointers begin with a slash", set: fields{"spec/driftIgnore/0/paths/0": "spec.replicas"}, refuse: "spec.driftIgnore[0].paths[0]"},
		"SubnetsNone":        {reason: "a machine has a network", set: fields{"spec/machineDefaults/subnets": []any{}}, refuse: "spec.machineDefaults.subnets"},
		"CategoryTwice":      {reason: "once is enough", set: fields{"spec/machineDefaults/categories/1": fields{"key": "Environment", "value": "Production"}}, refuse: "Duplicate value"},
		"CategoryTwoValues":  {reason: "Prism has keys with many values", set: fields{"spec/machineDefaults/categories/1": fields{"key": "Environment", "value": "Edge"}}},
		"DomainTwice":        {reason: "failure domains are told apart by name", set: fields{"spec/failureDomains/1/name": "rack-a"}, refuse: "Duplicate value"},
		"DomainOfNobody":     {reason: "a typing mistake", set: fields{"spec/controlPlane/failureDomains/0": "rack-z"}, refuse: "controlPlane.failureDomains names a failure domain that spec.failureDomains does not have"},
		"DomainOfNoPool":     {reason: "a typing mistake", set: fields{"spec/nodePools/0/failureDomain": "rack-z"}, refuse: "a node pool names a failure domain that spec.failureDomains does not have"},
		"PatchInlineAndFile": {reason: "which one?", set: fields{"spec/patches/0": fields{"path": "a.yaml", "patch": "x"}}, refuse: "set exactly one of path and patch"},
	}
	for _, more := range []map[string]rule{controlPlaneRules(), poolRules(), networkRules(), deviceRules()} {
		maps.Copy(all, more)
	}
	return all
}

func controlPlaneRules() map[string]rule {
	const (
		memory = "memory is at least 2Gi (CAPX refuses less when it creates the machine)"
		disk   = "systemDisk is at least 20Gi (CAPX refuses less when it creates the machine)"
		fixed  = "endpoint is immutable: make a new cluster with the wanted endpoint and move the workloads; if nothing of this one was made yet, commit, then kubectl delete nutanixclusterspec"
		surge  = "rollout.maxSurge 0 needs at least 3 replicas: removing the only machine first would lose the cluster"
		host   = "spec/controlPlane/endpoint/host"
		m      = "spec/controlPlane/machine/"
	)
	return map[string]rule{
		"EndpointName":       {reason: "kube-vip announces addresses", set: fields{host: "api.example.com"}, refuse: "host is an IP address, since kube-vip announces it by ARP"},
		"EndpointIPv6":       {reason: "is an address, too", set: fields{host: "fd00::10"}},
		"EndpointMoved":      {reason: "every kubeconfig would break", update: true, set: fields{host: "10.20.0.11"}, refuse: fixed},
		"EndpointPort":       {reason: "every kubeconfig would break", update: true, set: fields{"spec/controlPlane/endpoint/port": 443}, refuse: fixed},
		"EndpointInPods":     {reason: "pods would own the address", set: fields{host: "172.20.3.4"}, refuse: "controlPlane.endpoint.host lies in podCIDRs or serviceCIDRs: take an address of the machines' subnet"},
		"EndpointInServices": {reason: "a Service could own the address", set: fields{host: "172.21.0.10"}, refuse: "controlPlane.endpoint.host lies in podCIDRs or serviceCIDRs: take an address of the machines' subnet"},
		"Replicas1":          {reason: "a small cluster", set: fields{"spec/controlPlane/replicas": 1}},
		"Replicas2":          {reason: "two lose their quorum with one", set: fields{"spec/controlPlane/replicas": 2}, refuse: "spec.controlPlane.replicas: Unsupported value: 2"},
		"Replicas4":          {reason: "no better than three", set: fields{"spec/controlPlane/replicas": 4}, refuse: "spec.controlPlane.replicas: Unsupported value: 4"},
		"Replicas5":          {reason: "survives two", set: fields{"spec/controlPlane/replicas": 5}},
		"Replicas7":          {reason: "slower and no safer in practice", set: fields{"spec/controlPlane/replicas": 7}, refuse: "spec.controlPlane.replicas: Unsupported value: 7"},
		"SurgeNone":          {reason: "two of three go on", set: fields{"spec/controlPlane/rollout/maxSurge": 0}},
		"SurgeNoneOfOne":     {reason: "etcd would go with the only machine", set: fields{"spec/controlPlane/rollout/maxSurge": 0, "spec/controlPlane/replicas": 1}, refuse: surge},
		"SurgeTwo":           {reason: "Cluster API takes 0 or 1", set: fields{"spec/controlPlane/rollout/maxSurge": 2}, refuse: "spec.controlPlane.rollout.maxSurge"},
		"MemoryAtLimit":      {reason: "2Gi is what CAPX asks for", set: fields{m + "memory": "2Gi"}},
		"MemoryBelow":        {reason: "CAPX would fail at run time", set: fields{m + "memory": "2047Mi"}, refuse: memory},
		"MemoryNumber":       {reason: "a plain number is bytes", set: fields{m + "memory": 8}, refuse: memory},
		"MemoryInBytes":      {reason: "8Gi, written out", set: fields{m + "memory": 8589934592}},
		"MemoryMalformed":    {reason: "the unit is Gi", set: fields{m + "memory": "8GB"}, refuse: "spec.controlPlane.machine.memory"},
		"MemoryMissing":      {reason: "there is no default size", set: fields{m + "memory": nil}, refuse: "spec.controlPlane.machine.memory: Required value"},
		"DiskAtLimit":        {reason: "20Gi is what CAPX asks for", set: fields{m + "systemDisk": "20Gi"}},
		"DiskBelow":          {reason: "CAPX would fail at run time", set: fields{m + "systemDisk": "20G"}, refuse: disk},
		"SocketsZero":        {reason: "a machine has a CPU", set: fields{m + "vcpuSockets": 0}, refuse: "spec.controlPlane.machine.vcpuSockets"},
		"CheckTooImpatient":  {reason: "no machine starts in a second", set: fields{"spec/controlPlane/healthCheck/nodeStartupTimeoutSeconds": 1}, refuse: "nodeStartupTimeoutSeconds"},
	}
}

func poolRules() map[string]rule {
	const (
		count = "set exactly one of replicas and autoscaling"
		fixed = "objectName is immutable: make a new node pool instead"
		stuck = "maxSurge and maxUnavailable cannot both be 0: nothing could ever be replaced"
		pool  = "spec/nodePools/0/"
		burst = "spec/nodePools/1/"
	)
	return map[string]rule{
		"PoolsNone":           {reason: "a control plane alone is a cluster", set: fields{"spec/nodePools": nil}},
		"PoolNameAtLimit":     {reason: "15 characters fit", set: fields{pool + "name": letters(15)}},
		"PoolNameTooLong":     {reason: "16 do not", set: fields{pool + "name": letters(16)}, refuse: "spec.nodePools[0].name: Too long"},
		"PoolNameUpperCase":   {reason: "names of objects are lower case", set: fields{pool + "name": "Workers"}, refuse: "spec.nodePools[0].name"},
		"PoolNameTwice":       {reason: "pools are told apart by name", set: fields{burst + "name": "workers"}, refuse: "Duplicate value"},
		"PoolNameReserved":    {reason: "edge-01-kcp is the control plane's template", set: fields{pool + "name": "kcp"}, refuse: "the name kcp is reserved: the control plane's objects are called that way"},
		"PoolCountTwice":      {reason: "who decides?", set: fields{pool + "autoscaling": fields{"min": 1, "max": 2}}, refuse: count},
		"PoolCountNone":       {reason: "how many?", set: fields{pool + "replicas": nil}, refuse: count},
		"PoolEmpty":           {reason: "zero machines are a number", set: fields{pool + "replicas": 0}},
		"PoolNegative":        {reason: "less than nothing", set: fields{pool + "replicas": -1}, refuse: "spec.nodePools[0].replicas"},
		"PoolMinOverMax":      {reason: "no number fits", set: fields{burst + "autoscaling/min": 10}, refuse: "autoscaling.min is at most autoscaling.max"},
		"PoolMinIsMax":        {reason: "a fixed size", set: fields{burst + "autoscaling/min": 9}},
		"PoolObjectChanged":   {reason: "another MachineDeployment is another set of machines", update: true, set: fields{burst + "objectName": "new-burst"}, refuse: fixed},
		"PoolObjectAdded":     {reason: "that is a change, too", update: true, set: fields{pool + "objectName": "old-workers"}, refuse: fixed},
		"PoolObjectRemoved":   {reason: "that is a change, too", update: true, set: fields{burst + "objectName": nil}, refuse: fixed},
		"PoolObjectEmptied":   {reason: "empty and absent are the same", update: true, set: fields{pool + "objectName": nil}},
		"PoolObjectOfNewPool": {reason: "a new pool may adopt", update: true, set: fields{"spec/nodePools/2": fields{"name": "third", "replicas": 1, "objectName": "old-third", "machine": fields{"vcpuSockets": 2, "memory": "4Gi", "systemDisk": "40Gi"}}}},
		"PoolObjectTwice":     {reason: "two pools would fight", set: fields{pool + "objectName": "old-burst"}, refuse: "two node pools have the same objectName"},
		"PoolScaled":          {reason: "the everyday change", update: true, set: fields{pool + "replicas": 5}},
		"PoolRolloutStuck":    {reason: "neither add nor remove", set: fields{pool + "rollout": fields{"maxSurge": 0, "maxUnavailable": 0}}, refuse: stuck},
		"PoolRolloutDefault":  {reason: "maxUnavailable is 0 unless set", set: fields{pool + "rollout": fields{"maxSurge": 0}}, refuse: stuck},
		"PoolRolloutInPlace":  {reason: "remove, then add", set: fields{pool + "rollout": fields{"maxSurge": 0, "maxUnavailable": 1}}},
		"PoolTaintTwice":      {reason: "key and effect tell taints apart", set: fields{pool + "taints/1": fields{"key": "dedicated", "value": "other", "effect": "NoSchedule"}}, refuse: "Duplicate value"},
		"PoolTaintEffect":     {reason: "an unknown effect does nothing", set: fields{pool + "taints/0/effect": "Never"}, refuse: "spec.nodePools[0].taints[0].effect"},
	}
}

func networkRules() map[string]rule {
	const (
		overlap  = "podCIDRs and serviceCIDRs overlap"
		families = "two CIDRs are one IPv4 and one IPv6"
		fixed    = "network is immutable: make a new cluster with the wanted CIDRs and move the workloads"
		pods     = "spec/network/podCIDRs"
		services = "spec/network/serviceCIDRs"
	)
	return map[string]rule{
		"NetworkDefaults":       {reason: "the provider's own", set: fields{"spec/network": nil}},
		"NetworkDualStack":      {reason: "one of each family", set: fields{pods: []any{"172.20.0.0/16", "fd00:20::/56"}, services: []any{"172.21.0.0/16", "fd00:21::/112"}}},
		"NetworkTwoOfOneFamily": {reason: "Kubernetes takes one a family", set: fields{pods: []any{"172.20.0.0/16", "172.22.0.0/16"}}, refuse: families},
		"NetworkThree":          {reason: "there are two families", set: fields{pods: []any{"172.20.0.0/16", "fd00:20::/56", "172.22.0.0/16"}}, refuse: "spec.network.podCIDRs: Too many"},
		"NetworkNoCIDR":         {reason: "an address is no prefix", set: fields{pods: []any{"172.20.0.0"}}, refuse: "not a valid CIDR such as 172.20.0.0/16"},
		"NetworkPrefixTooLong":  {reason: "IPv4 has 32 bits", set: fields{pods: []any{"172.20.0.0/33"}}, refuse: "not a valid CIDR such as 172.20.0.0/16"},
		"NetworkHostBits":       {reason: "it would read as another prefix", set: fields{pods: []any{"172.20.1.0/16"}}, refuse: "the CIDR has bits set beyond its prefix: write 172.20.0.0/16, not 172.20.1.0/16"},
		"NetworkSame":           {reason: "addresses would be given out twice", set: fields{services: []any{"172.20.0.0/16"}}, refuse: overlap},
		"NetworkServicesInPods": {reason: "one inside the other", set: fields{pods: []any{"172.16.0.0/12"}}, refuse: overlap},
		"NetworkPodsInServices": {reason: "the other way round", set: fields{services: []any{"172.16.0.0/12"}}, refuse: overlap},
		"NetworkSecondOverlaps": {reason: "every pair is compared", set: fields{pods: []any{"172.20.0.0/16", "fd00:20::/56"}, services: []any{"172.21.0.0/16", "fd00:20::/112"}}, refuse: overlap},
		"NetworkNeighbours":     {reason: "side by side is apart", set: fields{pods: []any{"10.0.0.0/17"}, services: []any{"10.0.128.0/17"}, "spec/controlPlane/endpoint/host": "192.0.2.10"}},
		"NetworkChanged":        {reason: "running pods keep their addresses", update: true, set: fields{pods: []any{"172.22.0.0/16"}}, refuse: fixed},
		"NetworkRemoved":        {reason: "the defaults are other CIDRs", update: true, set: fields{"spec/network": nil}, refuse: fixed},
		"NetworkDomain":         {reason: "DNS names are lower case", set: fields{"spec/network/serviceDomain": "Cluster Local"}, refuse: "spec.network.serviceDomain"},
	}
}
