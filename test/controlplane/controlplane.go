// Package controlplane builds, from pinned Go modules, the programs of a Cluster API management cluster: etcd,
// kube-apiserver, kube-controller-manager, kubectl, the Cluster API and CAPX managers, and our in-memory stand-in for
// workload clusters. Each group of programs has a nested module of its own, because their module graphs do not mix.
// What is built is kept in a cache outside the tree, under a key that changes whenever the result would.
package controlplane

import (
	"slices"
	"strings"
)

// The names of the programs, which are also their file names.
const (
	Etcd                  = "etcd"
	KubeAPIServer         = "kube-apiserver"
	KubeControllerManager = "kube-controller-manager"
	Kubectl               = "kubectl"
	Core                  = "capi-core"
	KubeadmBootstrap      = "capi-kubeadm-bootstrap"
	KubeadmControlPlane   = "capi-kubeadm-control-plane"
	CAPX                  = "capx"
	Workload              = "workload-clusters"
	// Clusterctl is no part of a world; whoever needs it has it built.
	Clusterctl = "clusterctl"
	// Helm is no part of a world either.
	Helm = "helm"
	// Gitea is no part of a world either, and takes longest of all. It is built with cgo, for its database.
	Gitea = "gitea"
)

// Versions of what is built. A test holds them against the nested go.mod files.
const (
	EtcdVersion       = "v3.6.5"
	KubernetesVersion = "v1.34.4"
	CAPIVersion       = "v1.14.2"
	CAPXVersion       = "v1.9.2"
	WorkloadVersion   = "v1.13.0"
	HelmVersion       = "v4.3.1"
	GiteaVersion      = "v1.26.0"
)

const (
	capiModule  = "sigs.k8s.io/cluster-api"
	helmModule  = "helm.sh/helm/v4"
	giteaModule = "code.gitea.io/gitea"
	capxModule  = "github.com/nutanix-cloud-native/cluster-api-provider-nutanix"
)

// program says where one binary comes from.
type program struct {
	name    string
	module  string // directory of the nested module
	pkg     string // package to build
	pinned  string // module whose version is shown
	version string
	ldflags string // besides -s -w
	hurried bool   // compiled without inlining, which nearly halves the time; the program is not what is slow in a test
	patched bool   // built with the patched controller-runtime
	asset   bool   // a file of that name in $KUBEBUILDER_ASSETS is used instead
}

// tags are the build tags of programs that need some; these are built with cgo. Beside program, which is hashed into every
// key, so that a column for one does not have all others built again.
var tags = map[string]string{Gitea: "sqlite sqlite_unlock_notify"}

func programs() []program {
	manager := func(name, pkg string) program {
		return program{name: name, module: "capi", pkg: capiModule + pkg, pinned: capiModule, version: CAPIVersion, hurried: true, patched: true}
	}
	kubernetes := func(name string, asset bool) program {
		return program{
			name: name, module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/" + name, pinned: "k8s.io/kubernetes",
			version: KubernetesVersion, ldflags: versionFlags(KubernetesVersion), asset: asset,
		}
	}
	return []program{
		{name: Etcd, module: "etcd", pkg: "go.etcd.io/etcd/server/v3", pinned: "go.etcd.io/etcd/server/v3", version: EtcdVersion, asset: true},
		kubernetes(KubeAPIServer, true),
		kubernetes(Kubectl, true),
		kubernetes(KubeControllerManager, false),
		manager(Core, "/core"),
		manager(KubeadmBootstrap, "/bootstrap/kubeadm"),
		manager(KubeadmControlPlane, "/controlplane/kubeadm"),
		{name: CAPX, module: "capx", pkg: capxModule, pinned: capxModule, version: CAPXVersion, hurried: true, patched: true},
		{name: Clusterctl, module: "clusterctl", pkg: capiModule + "/cmd/clusterctl", pinned: capiModule, version: CAPIVersion, hurried: true},
		{
			name: Helm, module: "helm", pkg: helmModule + "/cmd/helm", pinned: helmModule, version: HelmVersion, hurried: true,
			ldflags: "-X " + helmModule + "/internal/version.version=" + HelmVersion,
		},
		{
			name: Gitea, module: "gitea", pkg: giteaModule, pinned: giteaModule, version: GiteaVersion, hurried: true,
			ldflags: "-X main.Version=" + strings.TrimPrefix(GiteaVersion, "v"),
		},
		{name: Workload, module: "workload", pkg: ".", pinned: capiModule + "/test", version: WorkloadVersion, hurried: true},
	}
}

// All lists every program of a world in the order in which they are built.
func All() []string {
	names := make([]string, 0, len(programs()))
	for _, p := range programs() {
		if !slices.Contains([]string{Clusterctl, Helm, Gitea}, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// APIServer lists the programs of an API server without any controller.
func APIServer() []string { return []string{Etcd, KubeAPIServer, Kubectl} }

func find(name string) (program, bool) {
	all := programs()
	i := slices.IndexFunc(all, func(p program) bool { return p.name == name })
	if i < 0 {
		return program{}, false
	}
	return all[i], true
}

// compilerFlags leave out what nobody looks at in these programs, to build them sooner.
func (p program) compilerFlags() string {
	if p.hurried {
		return "-gcflags=all=-dwarf=false -l"
	}
	return "-gcflags=all=-dwarf=false"
}

// environment is what go needs to know to build it.
func (p program) environment() string {
	if tags[p.name] != "" {
		return "CGO_ENABLED=1"
	}
	return "CGO_ENABLED=0"
}

// versionFlags stamps a version into Kubernetes programs: built from modules they would report v0.0.0-master, with
// which the Cluster API core manager refuses to work.
func versionFlags(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	const at = "-X k8s.io/component-base/version."
	return strings.Join([]string{
		at + "gitVersion=" + version, at + "gitMajor=" + major, at + "gitMinor=" + minor, at + "gitTreeState=clean",
	}, " ")
}
