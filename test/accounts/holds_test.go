package accounts

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// lack is something that a cluster's machines need and Prism Central does not have.
type lack struct {
	// name of the cluster.
	name string
	// replace in its file, in pairs, and the version of its profile.
	replace  []string
	profile  string
	endpoint string
	// begin makes Prism Central lack it.
	begin func(t *testing.T, c *central, cluster string)
	// field that the message names, and words of it.
	field string
	words []string
	// mend in Prism Central; nil: its file is mended in Git by mended.
	mend   func(t *testing.T, c *central, cluster string)
	mended []string
}

const (
	element   = "prismElement: {name: PE-1}"
	subnet    = "subnets: [{name: vlan-101}]"
	systems   = "systemDisk: 40Gi}"
	imageOf   = "spec.profiles[standard]: os.image"
	endpoints = "spec.controlPlane.endpoint.host"
)

func edited(change func(m *simulator.Model)) func(*testing.T, *central, string) {
	return func(t *testing.T, c *central, _ string) {
		t.Helper()
		if err := c.EditModel(change); err != nil {
			t.Fatal(err)
		}
	}
}

func added(vm simulator.VM) func(*testing.T, *central, string) {
	return func(t *testing.T, c *central, cluster string) {
		t.Helper()
		vm := vm
		vm.Name = strings.ReplaceAll(vm.Name, "CLUSTER", cluster)
		vm.Categories = slices.Clone(vm.Categories)
		for i := range vm.Categories {
			vm.Categories[i] = strings.ReplaceAll(vm.Categories[i], "CLUSTER", cluster)
		}
		vm.PrismElement, vm.Subnets, vm.Sockets, vm.CoresPerSocket, vm.MemoryBytes = "PE-1", []string{"vlan-102"}, 1, 1, 1<<30
		if _, err := c.AddVM(vm); err != nil {
			t.Fatal(err)
		}
	}
}

func removed(name string) func(*testing.T, *central, string) {
	return func(t *testing.T, c *central, cluster string) {
		t.Helper()
		if err := c.RemoveVM(strings.ReplaceAll(name, "CLUSTER", cluster)); err != nil {
			t.Fatal(err)
		}
	}
}

func available(yes bool) func(*testing.T, *central, string) {
	return func(t *testing.T, c *central, _ string) {
		t.Helper()
		if err := c.SetElementAvailable("PE-2", yes); err != nil {
			t.Fatal(err)
		}
	}
}

// pool of vlan-102 begins at an address.
func pool(first string) func(*testing.T, *central, string) {
	return edited(func(m *simulator.Model) { m.Subnets[1].FirstIP = netip.MustParseAddr(first) })
}

func lacks() []lack {
	image := func(name, id string) simulator.Image {
		return simulator.Image{Name: name, ExtID: id, SizeBytes: 1 << 30}
	}
	const doubled = "0d0d0d0d-0000-4000-8000-00000000000"
	return []lack{
		{
			name: "no-element", replace: []string{element, "prismElement: {name: PE-7}"},
			field: "spec.machineDefaults.prismElement", words: []string{`"PE-7"`, "PE-1"},
			mend: edited(func(m *simulator.Model) {
				m.PrismElements = append(m.PrismElements, simulator.PrismElement{Name: "PE-7", AOSVersion: "7.3", Hosts: []simulator.Host{
					{Name: "PE-7-host-1", Cores: 64, Threads: 128, MemoryBytes: 1 << 40}, {Name: "PE-7-host-2", Cores: 64, Threads: 128, MemoryBytes: 1 << 40},
				}})
				m.Subnets[0].PrismElements = append(m.Subnets[0].PrismElements, "PE-7")
				m.StorageContainers = append(m.StorageContainers, simulator.StorageContainer{Name: "default-container", PrismElement: "PE-7", CapacityBytes: 1 << 44})
			}),
		},
		{
			name: "element-away", replace: []string{element, "prismElement: {name: PE-2}"},
			begin: available(false), field: "spec.machineDefaults.prismElement", words: []string{"does not reach Prism Element PE-2", "bring it back"},
			mend: available(true),
		},
		{
			name: "no-subnet", replace: []string{subnet, "subnets: [{name: vlan-103}]"},
			field: "spec.machineDefaults.subnets[0]", words: []string{`"vlan-103"`, "PE-1"},
			mend: edited(func(m *simulator.Model) {
				another := m.Subnets[0]
				another.Name, another.ExtID, another.VLAN = "vlan-103", "", 103
				m.Subnets = append(m.Subnets, another)
			}),
		},
		{
			name: "no-image", profile: "1.0.1", field: imageOf, words: []string{`"rocky-9-kube-v1.33.4"`},
			mend: edited(func(m *simulator.Model) { m.Images = append(m.Images, image("rocky-9-kube-v1.33.4", "")) }),
		},
		{
			name: "old-image", profile: "1.0.2", field: imageOf, words: []string{"made for Kubernetes v1.32.8 by its name", "v1.33.4"},
			mended: []string{"1.0.2", "1.0.0"},
		},
		{
			name: "two-images", profile: "1.0.3", field: imageOf, words: []string{`"twice-kube-v1.33.4"`, "2"},
			begin: edited(func(m *simulator.Model) {
				m.Images = append(m.Images, image("twice-kube-v1.33.4", doubled+"1"), image("twice-kube-v1.33.4", doubled+"2"))
			}),
			mend: edited(func(m *simulator.Model) {
				m.Images = slices.DeleteFunc(m.Images, func(i simulator.Image) bool { return i.ExtID == doubled+"2" })
			}),
		},
		{
			name: "no-project", replace: []string{"project: {name: platform}", "project: {name: payments}"},
			field: "spec.machineDefaults.project", words: []string{`"payments"`},
			mend: edited(func(m *simulator.Model) { m.Projects = append(m.Projects, simulator.Project{Name: "payments"}) }),
		},
		{
			name: "no-category", replace: []string{"value: Production", "value: Productive"},
			field: "spec.machineDefaults.categories[0]", words: []string{"Environment=Productive", "Environment=Production"},
			mended: []string{"value: Productive", "value: Production"},
		},
		{
			name: "no-container", replace: []string{systems, "systemDisk: 40Gi, dataDisks: [{size: 10Gi, storageContainer: {name: slow-container}}]}"},
			field: "spec.controlPlane.machine.dataDisks[0].storageContainer", words: []string{`"slow-container"`, "PE-1"},
			mend: edited(func(m *simulator.Model) {
				m.StorageContainers = append(m.StorageContainers, simulator.StorageContainer{Name: "slow-container", PrismElement: "PE-1", CapacityBytes: 1 << 44})
			}),
		},
		{
			name: "no-gpu", replace: []string{systems, "systemDisk: 40Gi, gpus: [{name: NVIDIA L40S}]}"},
			field: "spec.controlPlane.machine.gpus[0]", words: []string{"NVIDIA L40S", "PE-1"},
			mend: edited(func(m *simulator.Model) {
				h := &m.PrismElements[0].Hosts[0]
				h.GPUs = append(h.GPUs, simulator.GPU{Name: "NVIDIA L40S", DeviceID: 9909, Count: 8})
			}),
		},
		{
			name: "endpoint-in-pool", replace: []string{subnet, "subnets: [{name: vlan-102}]"}, endpoint: "10.102.1.250",
			field: endpoints, words: []string{"10.102.1.250 is in an IP pool of subnet vlan-102"},
			mend: edited(func(m *simulator.Model) { m.Subnets[1].LastIP = netip.MustParseAddr("10.102.1.200") }),
		},
		{
			name: "endpoint-in-use", replace: []string{subnet, "subnets: [{name: vlan-102}]"}, endpoint: "10.102.1.0",
			begin: func(t *testing.T, c *central, cluster string) {
				t.Helper()
				added(simulator.VM{Name: "squatter", PowerState: simulator.PowerOn})(t, c, cluster)
				pool("10.102.1.1")(t, c, cluster) // so that it is no longer the pool's
			},
			field: endpoints, words: []string{"10.102.1.0 is used by VM squatter"},
			mend: removed("squatter"),
		},
		{
			name: "namesake", begin: added(simulator.VM{Name: "CLUSTER-kcp-x7k2b"}),
			field: "metadata.name", words: []string{"CLUSTER-kcp-x7k2b", "another name"},
			mend: removed("CLUSTER-kcp-x7k2b"),
		},
		{
			name: "foreign", begin: added(simulator.VM{Name: "of-elsewhere", Categories: []string{"KubernetesClusterName=CLUSTER"}}),
			field: "metadata.name", words: []string{"KubernetesClusterName=CLUSTER", "of-elsewhere", "adopt the old one where it lives"},
			mend: removed("of-elsewhere"),
		},
	}
}

// file of a lack's cluster.
func (l lack) file(c rig.Cluster) string {
	c.Profile, c.Endpoint = cmp.Or(l.profile, c.Profile), cmp.Or(l.endpoint, c.Endpoint)
	return strings.NewReplacer(l.replace...).Replace(c.File())
}

// TestPreflightHolds shows each check refusing a cluster before anything of it is applied, with the field and the file that cause it;
// once mended, in Prism Central or in Git, it goes on by itself. One Fleet has them all, and none holds up its other clusters.
func TestPreflightHolds(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &shared)
	all, clusters := lacks(), map[string]rig.Cluster{}
	for _, l := range all {
		clusters[l.name] = edge(l.name)
	}
	prism := newCentral(t, func(o *simulator.Options) {
		o.Model.Categories = append(o.Model.Categories, simulator.Category{Key: "KubernetesClusterName", Value: clusters["foreign"].Name})
	})
	well := edge("well")
	files := s.Files(well)
	files["fleet/account.yaml"] = prism.file("pc-east", insecure)
	for version, image := range map[string]string{"1.0.1": "rocky-9-kube-v1.33.4", "1.0.2": "ubuntu-24.04-kube-v1.32.8", "1.0.3": "twice-kube-v1.33.4"} {
		files["fleet/profile-"+version+".yaml"] = strings.Replace(rig.Profile(version, "v1.33.4"), "ubuntu-24.04-kube-v1.33.4", image, 1)
	}
	for _, l := range all {
		if l.begin != nil {
			l.begin(t, prism, clusters[l.name].Name)
		}
		files[fleets.File(clusters[l.name])] = l.file(clusters[l.name])
	}
	s.Push("a fleet", files)
	s.Start(fleets.Production, nil)
	each := func(check func(s *fleets.Stage, l lack, cluster string)) {
		for _, l := range all {
			t.Run(l.name, func(t *testing.T) { check(s.In(t), l, clusters[l.name].Name) })
		}
	}
	each(func(s *fleets.Stage, l lack, cluster string) { l.holds(s, cluster) })
	s.Accepted(well)
	mended := map[string]string{}
	for _, l := range all {
		switch c := clusters[l.name]; {
		case l.mend != nil:
			l.mend(t, prism, c.Name)
		default:
			mended[fleets.File(c)] = strings.NewReplacer(l.mended...).Replace(l.file(c))
		}
	}
	s.Push("mend", mended)
	each(func(s *fleets.Stage, _ lack, cluster string) { passes(s, cluster) })
	s.Kstatus(slices.Collect(maps.Values(clusters))...)
	quiet(t)
}

// holds fails unless a cluster is held and nothing of it is applied.
func (l lack) holds(s *fleets.Stage, cluster string) {
	s.T.Helper()
	words := []string{"nothing is applied", "fleet/" + cluster + ".yaml", l.field}
	for _, w := range l.words {
		words = append(words, strings.ReplaceAll(w, "CLUSTER", cluster))
	}
	c := s.Stalls(cluster, v1alpha1.PreflightFailedReason, words...)
	if err := speaks(c, v1alpha1.PreflightPassedCondition, metav1.ConditionFalse, v1alpha1.PreflightFailedReason, words[1:]); err != nil {
		s.T.Error(err)
	}
	if !slices.ContainsFunc(c.Status.Preflight, func(f v1alpha1.PreflightFinding) bool {
		return f.Verdict == v1alpha1.PreflightFailed && strings.HasPrefix(f.Field, l.field)
	}) {
		s.T.Errorf("status.preflight is %+v", c.Status.Preflight)
	}
	nothingApplied(s, cluster)
}

// passes waits until a cluster is applied and its checks have passed.
func passes(s *fleets.Stage, cluster string) {
	s.T.Helper()
	c := s.ClusterHas(cluster, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, v1alpha1.PreflightPassedReason, fleets.Soon)
	if len(c.Status.Preflight) > 0 {
		s.T.Errorf("status.preflight is still %+v", c.Status.Preflight)
	}
	passed(s, cluster)
}

// passed waits until a cluster is applied.
func passed(s *fleets.Stage, cluster string) {
	s.T.Helper()
	s.Within(fleets.Soon, cluster+" is applied", func() error {
		if s.Object(fleets.Core, "Cluster", cluster) == nil {
			return fmt.Errorf("there is no Cluster: %+v", s.Cluster(cluster).Status.Conditions)
		}
		return rig.Has(s.Cluster(cluster), v1alpha1.InSyncCondition, metav1.ConditionTrue, v1alpha1.InSyncReason)
	})
}
