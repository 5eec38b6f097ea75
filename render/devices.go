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

// dataDisk is CAPX's form of a data disk. What CAPX requires beside a value that is set is set, too; the rest stays
// unset, so that a disk of which nothing but the size is declared equals one that was written so by hand.
func dataDisk(d v1alpha1.DataDisk) any {
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
