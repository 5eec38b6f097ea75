package render

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// base is what the objects of every cluster are made of, before layers and patches.
type base struct {
	cluster    *v1alpha1.NutanixClusterSpec
	account    *v1alpha1.CloudAccount
	os         *v1alpha1.OSLayer
	kubernetes *v1alpha1.KubernetesLayer
}

// objects returns the base in no particular order.
func (b base) objects() ([]object, error) {
	out := []object{b.capiCluster(), b.nutanixCluster()}
	machines := []object{b.controlPlane(), b.controlPlaneTemplate()}
	if or(b.cluster.Spec.ControlPlane.HealthCheck.Enabled, true) {
		machines = append(machines, b.controlPlaneHealthCheck())
	}
	for _, o := range machines {
		o.source.path = steps{"spec", "controlPlane"}
		out = append(out, o)
	}
	for i, fd := range b.cluster.Spec.FailureDomains {
		o := b.failureDomain(fd)
		o.source.path = steps{"spec", "failureDomains"}.item(i)
		o.origin = "failure domain " + fd.Name + " of " + o.origin
		out = append(out, o)
	}
	for i, pool := range b.cluster.Spec.NodePools {
		for _, o := range b.pool(pool) {
			o.source.path = steps{"spec", "nodePools"}.item(i)
			out = append(out, o)
		}
	}
	ccm, err := b.cloudControllerManager()
	return append(out, ccm...), err
}

// pool returns the objects of a node pool.
func (b base) pool(pool v1alpha1.NodePool) []object {
	out := []object{b.machineDeployment(pool), b.poolTemplate(pool), b.poolConfig(pool)}
	if or(pool.HealthCheck.Enabled, true) {
		out = append(out, b.poolHealthCheck(pool))
	}
	for i := range out {
		out[i].origin = "node pool " + pool.Name + " of " + out[i].origin
	}
	return out
}

// Names of what is rendered are those of CAPX's own template.

func (b base) name() string                        { return b.cluster.Name }
func (b base) controlPlaneName() string            { return b.name() + "-kcp" }
func (b base) failureDomainName(fd string) string  { return b.name() + "-" + fd }
func (b base) poolBase(pool string) string         { return b.name() + "-" + pool }
func (b base) poolName(p v1alpha1.NodePool) string { return cmp.Or(p.ObjectName, b.poolBase(p.Name)) }

// Names of what the account controller writes. Their contents are secret or not known here, so they are not rendered.

func (b base) credentialsName() string         { return b.name() + "-pc-credentials" }
func (b base) trustBundleName() string         { return b.name() + "-pc-ca" }
func (b base) workloadCredentialsName() string { return b.name() + "-ccm-credentials" }

// ref is Cluster API's reference to an object in the same namespace.
func ref(group, kind, name string) tree { return tree{"apiGroup": group, "kind": kind, "name": name} }

// object makes an object of the cluster with a spec.
func (b base) object(apiVersion, kind, name string, spec tree) object {
	o := newObject(b.cluster, apiVersion, kind, name)
	o.Object["spec"] = spec
	o.origin = "cluster " + b.name()
	return o
}

func newObject(c *v1alpha1.NutanixClusterSpec, apiVersion, kind, name string) object {
	u := &unstructured.Unstructured{Object: tree{}}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetName(name)
	u.SetNamespace(c.Namespace)
	return object{Unstructured: u}
}

func (b base) capiCluster() object {
	network := b.cluster.Spec.Network
	spec := tree{
		"controlPlaneRef":   ref(groupControlPlane, kindKubeadmControlPlane, b.controlPlaneName()),
		"infrastructureRef": ref(groupInfrastructure, kindNutanixCluster, b.name()),
	}
	setList(spec, network.PodCIDRs, text[v1alpha1.CIDR], "clusterNetwork", "pods", "cidrBlocks")
	setList(spec, network.ServiceCIDRs, text[v1alpha1.CIDR], "clusterNetwork", "services", "cidrBlocks")
	setUnlessZero(spec, network.ServiceDomain, "clusterNetwork", "serviceDomain")
	setUnlessZero(spec, b.cluster.Spec.Paused, "paused") // never false: somebody else may have paused it
	return b.object(versionCore, kindCluster, b.name(), spec)
}

func (b base) nutanixCluster() object {
	endpoint := b.cluster.Spec.ControlPlane.Endpoint
	account := b.account.Spec
	central := tree{
		"address":       account.Endpoint.Address,
		"port":          number(cmp.Or(account.Endpoint.Port, defaultCentralPort)),
		"insecure":      account.Insecure, // also false: a hand edit that turns verification off is put back
		"credentialRef": tree{"kind": kindSecret, "name": b.credentialsName()},
	}
	if account.TrustBundleRef != nil {
		central["additionalTrustBundle"] = tree{"kind": kindConfigMap, "name": b.trustBundleName()}
	}
	spec := tree{
		"controlPlaneEndpoint": tree{
			"host": endpoint.Host, "port": number(cmp.Or(endpoint.Port, defaultEndpointPort)),
		},
		"prismCentral": central,
	}
	setList(spec, b.cluster.Spec.ControlPlane.FailureDomains, func(fd string) any {
		return tree{"name": b.failureDomainName(fd)}
	}, "controlPlaneFailureDomains")
	return b.object(versionInfrastructure, kindNutanixCluster, b.name(), spec)
}

// defaultCentralPort is the default of AccountEndpoint.Port.
const defaultCentralPort int32 = 9440

func (b base) failureDomain(fd v1alpha1.FailureDomain) object {
	spec := tree{"prismElementCluster": identifier(fd.PrismElement)}
	setList(spec, fd.Subnets, identifier, "subnets")
	return b.object(versionInfrastructure, kindNutanixFailureDomain, b.failureDomainName(fd.Name), spec)
}

// identifier is how CAPX names an entity in Prism Central.
func identifier(id v1alpha1.Identifier) any {
	if id.UUID != "" {
		return tree{"type": "uuid", "uuid": id.UUID}
	}
	return tree{"type": "name", "name": id.Name}
}
