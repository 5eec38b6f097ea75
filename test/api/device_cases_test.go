package api

// deviceRules are those of GPUs and data disks.
func deviceRules() map[string]rule {
	const (
		gpus  = "spec/nodePools/0/machine/gpus"
		disks = "spec/controlPlane/machine/dataDisks"
		size  = "size is at least 1Gi (CAPX refuses less when it creates the machine)"
		index = "of the data disks of one adapterType all have a deviceIndex, each another, or none has (CAPX would give out an index twice)"
	)
	disk := func(bus string, at any) fields {
		d := fields{"size": "10Gi"}
		if bus != "" {
			d["adapterType"] = bus
		}
		if at != nil {
			d["deviceIndex"] = at
		}
		return d
	}
	many := func(n int, item fields) []any {
		all := make([]any, n)
		for i := range all {
			all[i] = item
		}
		return all
	}
	return map[string]rule{
		"GPUByName":          {reason: "as Prism Central shows it", set: fields{gpus: []any{fields{"name": "Tesla T4"}}}},
		"GPUByDeviceID":      {reason: "one name may stand for several", set: fields{gpus: []any{fields{"deviceID": 7864}}}},
		"GPUTwice":           {reason: "a machine may have two of a kind", set: fields{gpus: many(2, fields{"name": "Tesla T4"})}},
		"GPUAtLimit":         {reason: "eight fit", set: fields{gpus: many(8, fields{"deviceID": 7864})}},
		"GPUTooMany":         {reason: "nine do not", set: fields{gpus: many(9, fields{"deviceID": 7864})}, refuse: "spec.nodePools[0].machine.gpus: Too many"},
		"GPUNone":            {reason: "which one?", set: fields{gpus: []any{fields{}}}, refuse: "set exactly one of name and deviceID"},
		"GPUBoth":            {reason: "they could differ", set: fields{gpus: []any{fields{"name": "Tesla T4", "deviceID": 7864}}}, refuse: "set exactly one of name and deviceID"},
		"GPUDeviceIDZero":    {reason: "no device has it", set: fields{gpus: []any{fields{"deviceID": 0}}}, refuse: "gpus[0].deviceID"},
		"GPUNameEmpty":       {reason: "names nothing", set: fields{gpus: []any{fields{"name": ""}}}, refuse: "gpus[0].name"},
		"DiskSmallest":       {reason: "1Gi is what CAPX asks for", set: fields{disks: []any{fields{"size": "1Gi"}}}},
		"DiskTooSmall":       {reason: "CAPX would fail at run time", set: fields{disks: []any{fields{"size": "1G"}}}, refuse: size},
		"DiskSizeMalformed":  {reason: "the unit is Gi", set: fields{disks: []any{fields{"size": "10GB"}}}, refuse: "dataDisks[0].size"},
		"DiskSizeMissing":    {reason: "there is no default size", set: fields{disks: []any{fields{}}}, refuse: "dataDisks[0].size: Required value"},
		"DiskContainer":      {reason: "where it is kept", set: fields{disks: []any{fields{"size": "10Gi", "storageContainer": fields{"name": "fast"}, "diskMode": "Flash"}}}},
		"DiskContainerTwice": {reason: "they could differ", set: fields{disks: []any{fields{"size": "10Gi", "storageContainer": fields{"name": "fast", "uuid": "0005b6b1-0000-4000-8000-00000000abcd"}}}}, refuse: "set exactly one of name and uuid"},
		"DiskModeUnknown":    {reason: "Standard or Flash", set: fields{disks: []any{fields{"size": "10Gi", "diskMode": "SSD"}}}, refuse: "dataDisks[0].diskMode"},
		"DiskAdapterUnknown": {reason: "CAPX cannot attach it", set: fields{disks: []any{disk("SPAPR", nil)}}, refuse: "dataDisks[0].adapterType"},
		"DisksAtLimit":       {reason: "twenty fit", set: fields{disks: many(20, disk("", nil))}},
		"DisksTooMany":       {reason: "21 do not", set: fields{disks: many(21, disk("", nil))}, refuse: "spec.controlPlane.machine.dataDisks: Too many"},
		"DiskIndexZero":      {reason: "CAPX reads it as not set", set: fields{disks: []any{disk("SATA", 0)}}, refuse: "dataDisks[0].deviceIndex"},
		"DiskIndexes":        {reason: "in any order", set: fields{disks: []any{disk("SCSI", 3), disk("SCSI", 1)}}},
		"DiskIndexTwice":     {reason: "two disks at one address", set: fields{disks: []any{disk("SCSI", 2), disk("SCSI", 2)}}, refuse: index},
		"DiskIndexOfDefault": {reason: "no adapterType is SCSI", set: fields{disks: []any{disk("SCSI", 2), disk("", 2)}}, refuse: index},
		"DiskIndexOfOther":   {reason: "each bus counts by itself", set: fields{disks: []any{disk("SCSI", 2), disk("PCI", 2), disk("SATA", nil)}}},
		"DiskIndexMixed":     {reason: "CAPX gives the second one index 2, too", set: fields{disks: []any{disk("", 2), disk("", nil)}}, refuse: index},
		"DiskIndexMixedLate": {reason: "whichever comes first", set: fields{disks: []any{disk("PCI", nil), disk("PCI", 1)}}, refuse: index},
	}
}
