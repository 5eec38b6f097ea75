package prism

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"

	address "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/common/v1/config"
	ahv "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/ahv/config"

	"github.com/refract-dev/refract/render/site"
)

func (r *reading) vms(ctx context.Context) error {
	vms, err := readList(ctx, r.door, listing[ahv.Vm]{
		part: site.PartVMs,
		id:   func(v ahv.Vm) string { return deref(v.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[ahv.Vm], error) {
			a, err := w.vms.ListVms(number, limit, nil, nil, nil)
			if err != nil {
				return page[ahv.Vm]{}, err
			}
			return pageOf[ahv.Vm](a.GetData(), vmmTotal(a.Metadata))
		}),
	})
	for _, v := range vms {
		r.found.VMs = append(r.found.VMs, vmOf(v))
	}
	return err
}

// VM reads one virtual machine; found is false when Prism Central itself says that it does not exist. An error is an
// [*Error] and says nothing about the machine.
func (d *Door) VM(ctx context.Context, extID string) (vm site.VM, found bool, err error) {
	read, _, err := d.vm(ctx, extID)
	if reasonOf(err) == NotFound {
		return site.VM{}, false, nil
	}
	if err != nil {
		return site.VM{}, false, err
	}
	return vmOf(read), true, nil
}

// vm reads one virtual machine with its ETag.
func (d *Door) vm(ctx context.Context, extID string) (vm ahv.Vm, etag string, err error) {
	if extID == "" {
		return vm, "", &Error{Reason: NotFound, Message: "there is no virtual machine without an identifier", Err: refusal(http.StatusNotFound)}
	}
	vm, err = ask(ctx, d, func(w *worker) (ahv.Vm, error) {
		a, getErr := w.vms.GetVmById(&extID)
		if getErr != nil {
			return ahv.Vm{}, getErr
		}
		read, ok := a.GetData().(ahv.Vm)
		if !ok || deref(read.ExtId) != extID {
			return ahv.Vm{}, errors.New("it is not the virtual machine that was asked for")
		}
		etag = w.vms.ApiClient.GetEtag(read)
		return read, nil
	})
	return vm, etag, err
}

func vmOf(v ahv.Vm) site.VM {
	vm := site.VM{
		ExtID: deref(v.ExtId), Name: deref(v.Name),
		Sockets: int64(deref(v.NumSockets)), CoresPerSocket: int64(deref(v.NumCoresPerSocket)), MemoryBytes: deref(v.MemorySizeBytes),
		Boot: bootOf(v), CustomAttributes: v.CustomAttributes,
	}
	if v.Cluster != nil {
		vm.Element = deref(v.Cluster.ExtId)
	}
	if v.Project != nil {
		vm.Project = deref(v.Project.ExtId)
	}
	if v.PowerState != nil {
		vm.Power = v.PowerState.GetName()
	}
	for _, c := range v.Categories {
		vm.Categories = append(vm.Categories, deref(c.ExtId))
	}
	for _, d := range v.Disks {
		if disk, is := diskOf(d); is {
			vm.Disks = append(vm.Disks, disk)
		}
	}
	for _, n := range v.Nics {
		vm.NICs = append(vm.NICs, nicOf(n))
	}
	for _, g := range v.Gpus {
		vm.GPUs = append(vm.GPUs, site.GPU{Name: deref(g.Name), DeviceID: int64(deref(g.DeviceId)), Mode: gpuMode(g.Mode)})
	}
	return vm
}

func bootOf(v ahv.Vm) string {
	switch v.GetBootConfig().(type) {
	case ahv.UefiBoot:
		return site.BootUEFI
	case ahv.LegacyBoot:
		return site.BootLegacy
	}
	return ""
}

func gpuMode(m *ahv.GpuMode) string {
	switch deref(m) {
	case ahv.GPUMODE_VIRTUAL:
		return site.GPUVirtual
	case ahv.GPUMODE_PASSTHROUGH_COMPUTE, ahv.GPUMODE_PASSTHROUGH_GRAPHICS:
		return site.GPUPassthrough
	default:
		return ""
	}
}

// diskOf is false for what is attached and not the machine's own, such as a volume group of the CSI driver.
func diskOf(d ahv.Disk) (site.Disk, bool) {
	backing, is := d.GetBackingInfo().(ahv.VmDisk)
	if !is {
		return site.Disk{}, false
	}
	disk := site.Disk{SizeBytes: deref(backing.DiskSizeBytes)}
	if d.DiskAddress != nil {
		disk.Index = int64(deref(d.DiskAddress.Index))
		if d.DiskAddress.BusType != nil {
			disk.Bus = d.DiskAddress.BusType.GetName()
		}
	}
	if backing.StorageContainer != nil {
		disk.Container = deref(backing.StorageContainer.ExtId)
	}
	if backing.DataSource != nil {
		if image, is := backing.DataSource.GetReference().(ahv.ImageReference); is {
			disk.Image = deref(image.ImageExtId)
		}
	}
	return disk, true
}

// nicOf reads both forms in which a NIC's network is told.
func nicOf(n ahv.Nic) site.NIC {
	var nic site.NIC
	if i := n.NetworkInfo; i != nil {
		add(&nic, i.Subnet, i.Ipv4Config, i.Ipv4Info)
	}
	if i, is := n.GetNicNetworkInfo().(ahv.VirtualEthernetNicNetworkInfo); is {
		add(&nic, i.Subnet, i.Ipv4Config, i.Ipv4Info)
		if i.Ipv6Info != nil {
			for _, a := range i.Ipv6Info.LearnedIpv6Addresses {
				addIP(&nic, parseIP(a.Value))
			}
		}
	}
	return nic
}

func add(nic *site.NIC, subnet *ahv.SubnetReference, given *ahv.Ipv4Config, learned *ahv.Ipv4Info) {
	if subnet != nil && nic.Subnet == "" {
		nic.Subnet = deref(subnet.ExtId)
	}
	var all []address.IPv4Address
	if given != nil && given.IpAddress != nil {
		all = append(all, *given.IpAddress)
	}
	if given != nil {
		all = append(all, given.SecondaryIpAddressList...)
	}
	if learned != nil {
		all = append(all, learned.LearnedIpAddresses...)
	}
	for _, a := range all {
		addIP(nic, parseIP(a.Value))
	}
}

func addIP(nic *site.NIC, ip netip.Addr) {
	if ip.IsValid() && !slices.Contains(nic.IPs, ip) {
		nic.IPs = append(nic.IPs, ip)
	}
}
