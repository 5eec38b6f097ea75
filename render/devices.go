package render

import (
	"cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// gpu is how CAPX names a GPU profile.
func gpu(g v1alpha1.GPU) any {
	if g.DeviceID != nil {
		return tree{"type": "deviceID", "deviceID": *g.DeviceID}
	}
	return tree{"type": "name", "name": g.Name}
}

// dataDisks is CAPX's form of data disks. What CAPX requires beside a value that is set is set, too; the rest stays
// unset, so that a disk of which nothing but the size is declared equals one that was written so by hand. Only the second
// disk of a bus and those after it get an index of ours: CAPX (1.9.2) would give the second that of the first.
func dataDisks(disks []v1alpha1.DataDisk) list {
	out := make(list, len(disks))
	seen := map[v1alpha1.AdapterType]int32{}
	for i, d := range disks {
		bus := cmp.Or(d.AdapterType, v1alpha1.AdapterSCSI)
		if n := seen[bus]; n > 0 && d.DeviceIndex == nil {
			d.DeviceIndex = new(firstIndex[bus] + n)
		}
		seen[bus]++
		out[i] = dataDisk(d)
	}
	return out
}

// firstIndex is where data disks begin on a bus: 0 on SCSI is the system disk, on IDE the CD-ROM.
var firstIndex = map[v1alpha1.AdapterType]int32{v1alpha1.AdapterSCSI: 1, v1alpha1.AdapterIDE: 1}

func dataDisk(d v1alpha1.DataDisk) tree {
	disk := tree{"diskSize": d.Size.String()}
	if d.AdapterType != "" || d.DeviceIndex != nil {
		device := tree{"deviceType": "Disk", "adapterType": string(cmp.Or(d.AdapterType, v1alpha1.AdapterSCSI))}
		setNumber(device, d.DeviceIndex, "deviceIndex")
		disk["deviceProperties"] = device
	}
	if d.StorageContainer != nil || d.DiskMode != "" {
		storage := tree{"diskMode": string(cmp.Or(d.DiskMode, v1alpha1.DiskStandard))}
		if d.StorageContainer != nil {
			storage["storageContainer"] = identifier(*d.StorageContainer)
		}
		disk["storageConfig"] = storage
	}
	return disk
}
