package api

import "maps"

// rules are the cases of every kind. Each CEL rule is refused at least once, and where a rule has a border, the value
// on the right side of it is accepted.
func rules() map[string]rule {
	all := map[string]rule{}
	fleets := fleetRules()
	maps.Copy(fleets, reviewRules())
	for kind, cases := range map[string]map[string]rule{
		"Fleet": fleets, "CloudAccount": accountRules(), "ClusterProfile": profileRules(), "NutanixClusterSpec": clusterRules(),
	} {
		for name, c := range cases {
			c.kind = kind
			all[kind+name] = c
		}
	}
	return all
}

func fleetRules() map[string]rule {
	const ref = "spec/git/ref"
	return map[string]rule{
		"NameAtLimit":      {reason: "50 characters fit", set: fields{"metadata/name": letters(50)}},
		"NameTooLong":      {reason: "51 do not", set: fields{"metadata/name": letters(51)}, refuse: "a Fleet name has at most 50 characters"},
		"RefDefaults":      {reason: "branch main is the default", set: fields{ref: nil}},
		"RefIsTag":         {reason: "a tag is a ref", set: fields{ref: fields{"tag": "v1"}}},
		"RefIsCommit":      {reason: "a full commit is a ref", set: fields{ref: fields{"commit": "1f3c9a2000000000000000000000000000000000"}}},
		"RefIsShortCommit": {reason: "a short commit could be ambiguous", set: fields{ref: fields{"commit": "1f3c9a2"}}, refuse: "spec.git.ref.commit"},
		"RefIsTwo":         {reason: "branch and tag contradict each other", set: fields{ref: fields{"branch": "main", "tag": "v1"}}, refuse: "set exactly one of branch, tag and commit"},
		"RefIsNone":        {reason: "an empty ref follows nothing", set: fields{ref: fields{}}, refuse: "set exactly one of branch, tag and commit"},
		"URLMissing":       {reason: "there is nothing to read", set: fields{"spec/git/url": nil}, refuse: "spec.git.url: Required value"},
		"URLWithPassword":  {reason: "objects are read by many", set: fields{"spec/git/url": "https://bot:secret@git.example.com/a.git"}, refuse: "url holds a user or a password: put them into the Secret that secretRef names"},
		"URLWithSSHUser":   {reason: "the user of ssh is no secret", set: fields{"spec/git/url": "ssh://git@git.example.com/a.git"}},
		"URLInShortForm":   {reason: "git writes ssh this way", set: fields{"spec/git/url": "git@git.example.com:platform/clusters.git"}},
		"PathDefaults":     {reason: "the whole repository", set: fields{"spec/git/path": nil}},
		"PathAbsolute":     {reason: "paths are relative to the root", set: fields{"spec/git/path": "/fleet"}, refuse: "path is relative to the repository's root and stays inside it, such as ./fleet"},
		"PathEscapes":      {reason: "nothing outside the snapshot is read", set: fields{"spec/git/path": "a/../../b"}, refuse: "path is relative to the repository's root and stays inside it, such as ./fleet"},
		"PathWithDots":     {reason: "dots in a name are harmless", set: fields{"spec/git/path": "./fleet..old/v1.2"}},
		"IntervalDefaults": {reason: "one minute", set: fields{"spec/interval": nil}},
		"IntervalZero":     {reason: "it would never rest", set: fields{"spec/interval": "0s"}, refuse: "interval is at least 1s"},
		"IntervalAtLimit":  {reason: "one second is allowed", set: fields{"spec/interval": "1s"}},
		"IntervalMixed":    {reason: "Go's durations", set: fields{"spec/interval": "1h30m"}},
		"IntervalNoUnit":   {reason: "60 of what?", set: fields{"spec/interval": "60"}, refuse: "spec.interval"},
		"LimitNegative":    {reason: "less than nothing", set: fields{"spec/limits/removedMachines": -1}, refuse: "spec.limits.removedMachines"},
		"PercentOver100":   {reason: "more than all", set: fields{"spec/limits/prunedPercent": 101}, refuse: "spec.limits.prunedPercent"},
		"PreflightUnknown": {reason: "Enforce, Warn or Off", set: fields{"spec/preflight/existence": "Maybe"}, refuse: "spec.preflight.existence"},
		"PreflightModes":   {reason: "both can be enforced or left", set: fields{"spec/preflight": fields{"existence": "Off", "capacity": "Enforce"}}},
		"WindowsReserved":  {reason: "not built yet", set: fields{"spec/windows": []any{fields{}}}, refuse: "spec.windows"},
	}
}

func accountRules() map[string]rule {
	return map[string]rule{
		"PortDefaults":         {reason: "9440", set: fields{"spec/endpoint/port": nil}},
		"PortTooHigh":          {reason: "ports end at 65535", set: fields{"spec/endpoint/port": 65536}, refuse: "spec.endpoint.port"},
		"AddressIsURL":         {reason: "the port is a field of its own", set: fields{"spec/endpoint/address": "https://pc:9440"}, refuse: "spec.endpoint.address"},
		"OtherCloud":           {reason: "only nutanix", set: fields{"spec/cloud": "vsphere"}, refuse: "spec.cloud"},
		"NoCredentials":        {reason: "nobody gets in", set: fields{"spec/credentialsRef": nil}, refuse: "spec.credentialsRef: Required value"},
		"TrustBundleOtherKind": {reason: "ConfigMap or Secret", set: fields{"spec/trustBundleRef/kind": "Pod"}, refuse: "spec.trustBundleRef.kind"},
	}
}

func profileRules() map[string]rule {
	const (
		shape      = "a profile of type Infra or Full has exactly one OS and one Kubernetes layer; an AddOn profile has none"
		layer      = "spec/layers/5"
		workload   = "a layer of type Network, Storage or AddOn has exactly one of kustomize and manifests"
		osBelongs  = "a layer of type OS has os, and no other layer has"
		k8sBelongs = "a layer of type Kubernetes has kubernetes, and no other layer has"
	)
	addOn := func(more fields) fields {
		l := fields{"name": "extra", "type": "AddOn", "kustomize": fields{"path": "layers/extra"}}
		maps.Copy(l, more)
		return fields{layer: l}
	}
	noSource := addOn(nil)
	delete(noSource[layer].(fields), "kustomize")
	return map[string]rule{
		"LayerAppended":        {reason: "the base of the cases below", set: addOn(nil)},
		"SecondOS":             {reason: "machines have one image", set: fields{layer: fields{"name": "rocky", "type": "OS", "os": fields{"image": fields{"name": "rocky"}}}}, refuse: shape},
		"AddOnWithOS":          {reason: "an AddOn profile brings no machines", set: fields{"spec/type": "AddOn"}, refuse: shape},
		"AddOn":                {reason: "only add-ons", set: fields{"spec/type": "AddOn", "spec/layers": []any{addOn(nil)[layer]}}},
		"InfraWithAddOn":       {reason: "that would be Full", set: fields{"spec/type": "Infra"}, refuse: "a profile of type Infra has no AddOn layer: make it Full, or move the layer to a profile of type AddOn"},
		"OSWithoutContent":     {reason: "no image", set: fields{"spec/layers/0/os": nil}, refuse: osBelongs},
		"OSInAddOn":            {reason: "os in another type is a mistake", set: addOn(fields{"os": fields{"image": fields{"name": "x"}}}), refuse: osBelongs},
		"KubernetesWithout":    {reason: "no version", set: fields{"spec/layers/1/kubernetes": nil}, refuse: k8sBelongs},
		"WorkloadTwoSources":   {reason: "which one?", set: addOn(fields{"manifests": fields{"paths": []any{"a.yaml"}}}), refuse: workload},
		"WorkloadNoSource":     {reason: "nothing to deliver", set: noSource, refuse: workload},
		"LayerNameTwice":       {reason: "layers are told apart by name", set: addOn(fields{"name": "cilium"}), refuse: "Duplicate value"},
		"LayerNameReserved":    {reason: "edge-01-kubeconfig is a Secret of Cluster API", set: addOn(fields{"name": "kubeconfig"}), refuse: "this layer name is reserved: an object of the cluster is called that way"},
		"LayerNameTooLong":     {reason: "names of objects end at 63", set: addOn(fields{"name": letters(41)}), refuse: "Too long"},
		"ImageTwice":           {reason: "image and lookup contradict each other", set: fields{"spec/layers/0/os/imageLookup": fields{"baseOS": "ubuntu"}}, refuse: "set exactly one of image and imageLookup"},
		"ImageLookup":          {reason: "the newest that matches", set: fields{"spec/layers/0/os/image": nil, "spec/layers/0/os/imageLookup": fields{"baseOS": "ubuntu"}}},
		"ImageByNameAndUUID":   {reason: "they could differ", set: fields{"spec/layers/0/os/image/uuid": "0005b6b1-0000-4000-8000-00000000abcd"}, refuse: "set exactly one of name and uuid"},
		"ImageUUIDMalformed":   {reason: "not a UUID", set: fields{"spec/layers/0/os/image": fields{"uuid": "abc"}}, refuse: "spec.layers[0].os.image.uuid"},
		"PatchInlineAndFile":   {reason: "which one?", set: fields{"spec/layers/1/patches/0": fields{"path": "a.yaml", "patch": "x"}}, refuse: "set exactly one of path and patch"},
		"PatchEmpty":           {reason: "patches nothing", set: fields{"spec/layers/1/patches/0": fields{"target": fields{"kind": "Cluster"}}}, refuse: "set exactly one of path and patch"},
		"VersionPartial":       {reason: "versions are exact", set: fields{"spec/version": "1.4"}, refuse: "spec.version"},
		"VersionPreRelease":    {reason: "semantic versions have them", set: fields{"spec/version": "1.4.0-rc.1"}},
		"KubernetesNoV":        {reason: "kubeadm writes v1.33.4", set: fields{"spec/layers/1/kubernetes/version": "1.33.4"}, refuse: "spec.layers[1].kubernetes.version"},
		"VariableTwice":        {reason: "which default?", set: fields{"spec/variables/1": fields{"name": "ntpServer"}}, refuse: "Duplicate value"},
		"VariableMalformed":    {reason: "names are identifiers", set: fields{"spec/variables/0/name": "ntp-server"}, refuse: "spec.variables[0].name"},
		"VariableFormat":       {reason: "an unknown format checks nothing", set: fields{"spec/variables/0/format": "email"}, refuse: "spec.variables[0].format"},
		"FileTwice":            {reason: "the second would win silently", set: fields{"spec/layers/0/os/files/1": fields{"path": "/etc/motd", "content": "x"}}, refuse: "Duplicate value"},
		"FileRelative":         {reason: "relative to what?", set: fields{"spec/layers/0/os/files/0/path": "etc/motd"}, refuse: "spec.layers[0].os.files[0].path"},
		"FilePermissions":      {reason: "octal with a leading zero", set: fields{"spec/layers/0/os/files/0/permissions": "rw-r--r--"}, refuse: "spec.layers[0].os.files[0].permissions"},
		"BootTypeUnknown":      {reason: "legacy or uefi", set: fields{"spec/layers/0/os/bootType": "bios"}, refuse: "spec.layers[0].os.bootType"},
		"LayersNone":           {reason: "a profile of nothing", set: fields{"spec/layers": []any{}}, refuse: "spec.layers"},
		"KustomizeWithoutPath": {reason: "an empty path names no directory", set: addOn(fields{"kustomize": fields{"path": ""}}), refuse: "kustomize.path"},
	}
}
