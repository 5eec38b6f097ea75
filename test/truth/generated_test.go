package truth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/leaf"
)

// other are values of leaves that not just any other fits.
var other = map[string]any{
	"account.credentialsRef.name":                                    "pc-east-credentials-2",
	"account.workloadCredentialsRef.name":                            "pc-east-credentials-2",
	"cluster.machineDefaults.prismElement.name":                      "PE-2",
	"cluster.failureDomains[].prismElement.name":                     "PE-2",
	"cluster.machineDefaults.subnets[].name":                         "vlan-102",
	"cluster.failureDomains[].subnets[].name":                        "vlan-102",
	"cluster.machineDefaults.project.name":                           "edge",
	"account.trustBundleRef.kind":                                    "Secret",
	"account.trustBundleRef.name":                                    "pc-east-ca-2",
	"cluster.machineDefaults.categories[].key":                       "Team",
	"cluster.controlPlane.machine.gpus[].name":                       "NVIDIA A16-8Q",
	"cluster.controlPlane.machine.gpus[].deviceID":                   int64(8758),
	"cluster.nodePools[].machine.gpus[].name":                        "NVIDIA L40",
	"cluster.nodePools[].machine.gpus[].deviceID":                    int64(8758),
	"cluster.machineDefaults.categories[].value":                     "Staging",
	"cluster.controlPlane.replicas":                                  int64(3),
	"cluster.nodePools[].taints[].effect":                            "NoSchedule",
	"cluster.deletionPolicy":                                         "Orphan",
	"cluster.drift.objects":                                          "Report",
	"cluster.drift.machines":                                         "Repair",
	"cluster.controlPlane.machine.memory":                            "6Gi",
	"cluster.nodePools[].machine.memory":                             "6Gi",
	"cluster.controlPlane.machine.dataDisks[].adapterType":           "PCI",
	"cluster.nodePools[].machine.dataDisks[].adapterType":            "SCSI",
	"cluster.controlPlane.machine.dataDisks[].diskMode":              "Standard",
	"cluster.nodePools[].machine.dataDisks[].diskMode":               "Flash",
	"cluster.controlPlane.machine.dataDisks[].storageContainer.name": "default-container",
	"cluster.nodePools[].machine.dataDisks[].storageContainer.name":  "default-container",
	"cluster.nodePools[].failureDomain":                              "rack-b",
	"cluster.controlPlane.failureDomains":                            "rack-a",
	"profile.layers[].os.image.name":                                 "node-b",
	"profile.layers[].os.imageLookup.baseOS":                         "ubuntu-22.04",
	"profile.layers[].os.imageLookup.format":                         "golden-{{.BaseOS}}-v{{.K8sVersion}}",
	"profile.layers[].os.bootType":                                   "legacy",
	"profile.layers[].kubernetes.version":                            "v1.33.5",
	"profile.layers[].kubernetes.kubeVip.image":                      "ghcr.io/kube-vip/kube-vip:v0.9.3",
	"profile.layers[].kubernetes.tlsCipherSuites":                    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"profile.layers[].manifests.paths":                               "layers/notes2.yaml",
	"profile.layers[].kustomize.path":                                "layers/net2",
	"profile.layers[].patches[].path":                                "patches/layer-2.yaml",
	"cluster.patches[].path":                                         "patches/cluster-2.yaml",
	"cluster.patches[].target.labelSelector":                         "nothing",
	"cluster.patches[].target.annotationSelector":                    "nothing",
	"profile.layers[].patches[].target.labelSelector":                "nothing",
	"profile.layers[].patches[].target.annotationSelector":           "nothing",
	"profile.variables[].format":                                     "number",
}

// identifiers of one site: which UUID there is beside the one that a leaf has.
func otherID(now any) (any, bool) {
	for _, pair := range [][2]string{
		{"PE-1", "PE-2"},
		{"vlan-101", "vlan-102"},
		{"platform", "edge"},
		{"PE-1/default-container", "PE-1/fast-container"},
		{"ubuntu-24.04-kube-v1.33.4", "ubuntu-22.04-kube-v1.33.4"},
	} {
		switch now {
		case ids[pair[0]]:
			return ids[pair[1]], true
		case ids[pair[1]]:
			return ids[pair[0]], true
		}
	}
	return nil, false
}

// untried are leaves that are not changed here, each with the reason.
var untried = map[string]string{
	"account.cloud":                               "there is one cloud",
	"profile.cloud":                               "there is one cloud",
	"account.endpoint.address":                    "another name may be the same Prism Central; plans count all machines, and nobody can know",
	"account.endpoint.port":                       "the simulated Prism Central has one port",
	"profile.profile":                             "clusters refer to it",
	"profile.layers[].kubernetes.imageRepository": "Cluster API then writes CoreDNS of the workload cluster, and the simulated one answers with a conflict",
	"profile.version":                             "every change of a profile makes a new version",
	"profile.layers[].type":                       "each type has fields of its own",
	"profile.type":                                "it says what layers there may be",
	"profile.variables[].name":                    "layers refer to it",
	"cluster.profiles[].name":                     "the profile has the same",
	"cluster.profiles[].version":                  "every change of a profile makes a new version",
	"cluster.failureDomains[].name":               "pools refer to it",
}

// undone are leaves whose change is taken back, since nothing else could happen after it.
var undone = []string{"cluster.paused", "cluster.suspend", "cluster.deletionPolicy", "cluster.drift.objects"}

// last are leaves that make every later scenario slow.
var last = []string{"cluster.controlPlane.replicas", "cluster.controlPlane.rollout.maxSurge"}

// shapes of clusters whose fields are changed.
var shapes = []string{"plain", "placed", "scaled"}

// TestEveryField changes every field of the API once, one after the other.
func TestEveryField(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, shape, "fields-"+shape)
			for _, e := range s.chosen(t) {
				t.Run(e.Leaf, func(t *testing.T) { s.change(t, e) })
			}
		})
	}
}

// TestEveryLeafIsTried looks whether a scenario exists for each field, or a reason why not.
func TestEveryLeafIsTried(t *testing.T) {
	tried := map[string]bool{}
	for _, shape := range shapes {
		for _, e := range editsOf(t, shape) {
			tried[e.Leaf] = true
		}
	}
	known := leaf.Declared()
	for _, at := range slices.Sorted(maps.Keys(known)) {
		switch {
		case tried[at] && untried[at] != "":
			t.Errorf("%s is tried: take it out of untried", at)
		case !tried[at] && untried[at] == "":
			t.Errorf("%s is in none of the files", at)
		}
	}
	for at := range untried {
		if !known[at] {
			t.Errorf("untried has %s, and the API has not", at)
		}
	}
}

// editsOf are the edits of a shape; a leaf that several have is changed in the first.
func editsOf(t *testing.T, shape string) []leaf.Edit {
	t.Helper()
	seen := map[string]bool{}
	var out []leaf.Edit
	for _, name := range shapes {
		file := read(t, name)
		edits, err := file.Edits(func(_ string, now any) []any { return []any{leaf.Otherwise(now)} })
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range edits {
			if e.Gone || seen[e.Leaf] || untried[e.Leaf] != "" {
				continue
			}
			seen[e.Leaf] = true
			if name == shape {
				out = append(out, e)
			}
		}
	}
	return out
}

// chosen are the scenarios of a shape, in the order of the seed: all of them, or a tenth.
func (s *stage) chosen(t *testing.T) []leaf.Edit {
	t.Helper()
	all := editsOf(t, s.name)
	random(s.name).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if !full() {
		all = all[:(len(all)+share-1)/share]
	}
	slices.SortStableFunc(all, func(a, b leaf.Edit) int { return slices.Index(last, a.Leaf) - slices.Index(last, b.Leaf) })
	return all
}

// change makes one change, and takes it back where nothing else could follow.
func (s *stage) change(t *testing.T, e leaf.Edit) {
	t.Helper()
	was := s.file.Text()
	text, value := s.edited(t, e)
	sc := scenario{name: fmt.Sprintf("%s to %v", e.Field(), value), text: text, still: e.Leaf == "cluster.paused" || e.Leaf == "cluster.suspend"}
	done := s.run(t, sc)
	if done.refused != "" {
		s.back()
		return
	}
	s.keep(text)
	if slices.Contains(undone, e.Leaf) {
		s.run(t, scenario{name: e.Field() + " back", text: was})
		s.keep(was)
	}
}

// edited is the file with one value changed; a changed profile has a new version.
func (s *stage) edited(t *testing.T, e leaf.Edit) (text string, value any) {
	t.Helper()
	file, err := leaf.Read([]byte(s.file.Text()))
	if err != nil {
		t.Fatal(err)
	}
	now := leaf.Value(file.Docs()[e.Doc], e.Path)
	value, known := other[e.Leaf]
	if !known {
		if value, known = otherID(now); !known {
			value = leaf.Otherwise(now)
		}
	}
	if before, ok := now.(string); ok && strings.HasSuffix(e.Leaf, ".patch") {
		value = strings.NewReplacer("600", "700", `"1"`, `"2"`, "ntp-1", "ntp-2").Replace(before)
	}
	set := func(doc int, path []string, v any) {
		if err := file.Set(doc, leaf.Replace(file.Docs()[doc], path, v, false)); err != nil {
			t.Fatal(err)
		}
	}
	set(e.Doc, e.Path, value)
	if file.Docs()[e.Doc]["kind"] == v1alpha1.ClusterProfileKind {
		s.version++
		version := fmt.Sprintf("1.0.%d", s.version)
		set(e.Doc, []string{"metadata", "name"}, "standard-"+version)
		set(e.Doc, []string{"spec", "version"}, version)
		set(len(file.Docs())-1, []string{"spec", "profiles", "[0]", "version"}, version)
	}
	return file.Text(), value
}
