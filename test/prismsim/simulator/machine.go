package simulator

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"
)

// machine is a VM as the server keeps it: what it refers to, by extId.
type machine struct {
	extID, name, cluster, project string
	sockets, cores                int
	memory                        int64
	timezone                      string
	categories                    []string
	nics                          []nic
	disks                         []disk
	gpus                          []gpu
	boot                          string
	bootOrder                     []string
	customAttributes              []string
	userData, metadata            string

	// created orders VMs by when they were made.
	created int
	// host is the extId of the host that it runs on; empty while it is off or
	// when its cluster has no hosts.
	host string

	on bool
	// booted is set for good by the first boot: addresses show from then on.
	booted bool
	// boots counts power changes, so that a boot ends only if nothing came
	// between.
	boots    int
	revision int
}

type nic struct {
	extID, subnet string
	// ip is taken out of the pool when the VM is made.
	ip netip.Addr
}

type disk struct {
	extID, diskExtID, bus string
	index                 int
	size                  int64
	image, container      string
	// flashMode is nil when the request did not say.
	flashMode *bool
	// volumeGroup is set for an attached volume group, which has no size and no
	// container here.
	volumeGroup string
}

type gpu struct {
	extID    string
	deviceID int
	// name and mode are those of the Model, filled in by checkReferences.
	name, mode string
}

func newNIC(subnet string) nic { return nic{extID: uuid.NewString(), subnet: subnet} }

// newDisk is on the SCSI bus.
func newDisk(index int, size int64) disk {
	return disk{extID: uuid.NewString(), diskExtID: uuid.NewString(), bus: "SCSI", index: index, size: size}
}

// freePlace returns the first free index on a bus.
func freePlace(disks []disk, bus string) int {
	index := 0
	for slices.ContainsFunc(disks, func(d disk) bool { return d.bus == bus && d.index == index }) {
		index++
	}
	return index
}

// clone returns a copy that can be changed without changing m.
func (m *machine) clone() *machine {
	c := *m
	c.categories, c.nics, c.disks = slices.Clone(m.categories), slices.Clone(m.nics), slices.Clone(m.disks)
	c.gpus, c.customAttributes = slices.Clone(m.gpus), slices.Clone(m.customAttributes)
	return &c
}

func (m *machine) power(on bool) {
	m.on = on
	m.boots++
	if !on {
		m.host = ""
	}
}

// document is the VM as the v4 API shows it. Whether a real Prism Central
// returns the guest customization is not established; it is left out.
func (m *machine) document() object {
	state := PowerOff
	if m.on {
		state = PowerOn
	}
	doc := typed(vmPackage+"Vm", object{
		"extId":             m.extID,
		"name":              m.name,
		"cluster":           reference(vmPackage+"ClusterReference", m.cluster),
		"numSockets":        m.sockets,
		"numCoresPerSocket": m.cores,
		"numThreadsPerCore": 1,
		"memorySizeBytes":   m.memory,
		"powerState":        state,
	})
	categories := make([]object, 0, len(m.categories))
	for _, id := range m.categories {
		categories = append(categories, reference(vmPackage+"CategoryReference", id))
	}
	disks := make([]object, 0, len(m.disks))
	for _, d := range m.disks {
		disks = append(disks, d.document())
	}
	nics := make([]object, 0, len(m.nics))
	for _, n := range m.nics {
		nics = append(nics, n.document(m.booted))
	}
	gpus := make([]object, 0, len(m.gpus))
	for _, g := range m.gpus {
		gpus = append(gpus, g.document())
	}
	doc["categories"], doc["disks"], doc["nics"], doc["gpus"] = categories, disks, nics, gpus
	if m.host != "" {
		doc["host"] = reference(vmPackage+"HostReference", m.host)
	}
	if m.timezone != "" {
		doc["hardwareClockTimezone"] = m.timezone
	}
	if m.project != "" {
		doc["project"] = reference(vmPackage+"ProjectReference", m.project)
	}
	if len(m.customAttributes) > 0 {
		doc["customAttributes"] = slices.Clone(m.customAttributes)
	}
	if boot := m.bootDocument(); boot != nil {
		doc["bootConfig"] = boot
	}
	return doc
}

func (m *machine) bootDocument() object {
	var boot object
	switch m.boot {
	case BootUEFI:
		boot = typed(vmPackage+"UefiBoot", object{})
	case BootLegacy:
		boot = typed(vmPackage+"LegacyBoot", object{})
	default:
		return nil
	}
	if len(m.bootOrder) > 0 {
		boot["bootOrder"] = m.bootOrder
	}
	return boot
}

func (d disk) document() object {
	doc := typed(vmPackage+"Disk", object{
		"extId":       d.extID,
		"diskAddress": typed(vmPackage+"DiskAddress", object{"busType": d.bus, "index": d.index}),
	})
	if d.volumeGroup != "" {
		doc["backingInfo"] = typed(vmPackage+"ADSFVolumeGroupReference", object{"volumeGroupExtId": d.volumeGroup})
		return doc
	}
	backing := typed(vmPackage+"VmDisk", object{"diskExtId": d.diskExtID, "diskSizeBytes": d.size})
	if d.container != "" {
		backing["storageContainer"] = reference(vmPackage+"VmDiskContainerReference", d.container)
	}
	if d.image != "" {
		backing["dataSource"] = typed(vmPackage+"DataSource", object{
			"reference": typed(vmPackage+"ImageReference", object{"imageExtId": d.image}),
		})
	}
	if d.flashMode != nil {
		backing["storageConfig"] = typed(vmPackage+"VmDiskStorageConfig", object{"isFlashModeEnabled": *d.flashMode})
	}
	doc["backingInfo"] = backing
	return doc
}

func (g gpu) document() object {
	return typed(vmPackage+"Gpu", object{
		"extId": g.extID, "name": g.name, "deviceId": g.deviceID, "mode": g.mode, "vendor": gpuVendor,
	})
}

func (n nic) document(booted bool) object {
	info := typed(vmPackage+"NicNetworkInfo", object{
		"nicType": "NORMAL_NIC",
		"subnet":  reference(vmPackage+"SubnetReference", n.subnet),
	})
	if booted {
		info["ipv4Config"] = typed(vmPackage+"Ipv4Config", object{"ipAddress": ipAddress(n.ip), "shouldAssignIp": true})
	}
	return typed(vmPackage+"Nic", object{"extId": n.extID, "networkInfo": info})
}
