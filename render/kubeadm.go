package render

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// What CAPX's own cluster template (v1.9.2) gives to every machine; a cluster that was made from it is adopted without a
// roll because these are the same.
const (
	evictionHard     = "nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,memory.available<100Mi,imagefs.inodesFree<10%"
	setHostname      = `hostnamectl set-hostname "{{ ds.meta_data.hostname }}"`
	kubeadmVerbosity = 10
	defaultUser      = "capiuser"

	notePreKubeadm  = `echo "before kubeadm call" > /var/log/prekubeadm.log`
	notePostKubeadm = `echo "after kubeadm call" > /var/log/postkubeadm.log`
)

// apiServerNames are in every API server's certificate, beside the endpoint.
var apiServerNames = []string{"localhost", "127.0.0.1", "0.0.0.0"}

// controlPlaneConfig returns KubeadmControlPlane.spec.kubeadmConfigSpec.
func (b base) controlPlaneConfig() tree {
	k := b.kubernetes
	tls := tlsArgs(k)
	spec := b.machineConfig(
		slices.Concat([]string{notePreKubeadm, setHostname}, hostsCommands, []string{
			kubeVipBeforeInit(k.Version), cloudProviderFlag(k.Version),
		}),
		[]string{exportKubeconfig, kubeVipAfterInit(k.Version), notePostKubeadm},
		kubeVipFile(k.KubeVip, b.cluster.Spec.ControlPlane.Endpoint),
	)
	cluster := tree{}
	names := slices.Clone(apiServerNames)
	for _, name := range k.CertSANs {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	setList(cluster, names, text[string], "apiServer", "certSANs")
	setArgs(cluster, []string{"apiServer", "extraArgs"}, tls, k.APIServerExtraArgs)
	setArgs(cluster, []string{"controllerManager", "extraArgs"}, tls, map[string]string{"cloud-provider": "external"},
		k.ControllerManagerExtraArgs)
	setArgs(cluster, []string{"scheduler", "extraArgs"}, tls, k.SchedulerExtraArgs)
	setUnlessZero(cluster, k.ImageRepository, "imageRepository")
	spec["clusterConfiguration"] = cluster
	for _, phase := range []string{"initConfiguration", "joinConfiguration"} {
		setArgs(spec, []string{phase, "nodeRegistration", "kubeletExtraArgs"}, b.kubeletArgs())
	}
	return spec
}

// workerConfig returns KubeadmConfigTemplate.spec.template.spec of a pool.
func (b base) workerConfig(pool v1alpha1.NodePool) tree {
	spec := b.machineConfig([]string{notePreKubeadm, setHostname}, []string{notePostKubeadm})
	args := b.kubeletArgs()
	if labels := kubeletLabels(pool.Labels); labels != "" {
		args["node-labels"] = strings.TrimPrefix(args["node-labels"]+","+labels, ",")
	}
	registration := []string{"joinConfiguration", "nodeRegistration"}
	setArgs(spec, append(slices.Clone(registration), "kubeletExtraArgs"), args)
	setList(spec, pool.Taints, func(t v1alpha1.Taint) any {
		taint := tree{"key": t.Key, "effect": t.Effect}
		setUnlessZero(taint, t.Value, "value")
		return taint
	}, append(registration, "taints")...)
	return spec
}

// machineConfig returns what every machine's kubeadm config has. The profile's commands and files come after ours.
func (b base) machineConfig(pre, post []string, files ...tree) tree {
	spec := tree{"verbosity": number(kubeadmVerbosity)}
	setList(spec, append(pre, b.os.PreKubeadmCommands...), text[string], "preKubeadmCommands")
	setList(spec, append(post, b.os.PostKubeadmCommands...), text[string], "postKubeadmCommands")
	for _, f := range b.os.Files {
		file := tree{"path": f.Path, "content": f.Content}
		setUnlessZero(file, f.Permissions, "permissions")
		setUnlessZero(file, f.Owner, "owner")
		files = append(files, file)
	}
	setList(spec, files, func(f tree) any { return f }, "files")
	if keys := b.cluster.Spec.MachineDefaults.SSHAuthorizedKeys; len(keys) > 0 {
		user := tree{"name": cmp.Or(b.os.User, defaultUser), "lockPassword": false, "sudo": "ALL=(ALL) NOPASSWD:ALL"}
		setList(user, keys, text[string], "sshAuthorizedKeys")
		spec["users"] = list{user}
	}
	return spec
}

// kubeletArgs are the flags of every kubelet; the profile's win over ours.
func (b base) kubeletArgs() map[string]string {
	args := tlsArgs(b.kubernetes)
	args["cloud-provider"] = "external"
	args["eviction-hard"] = evictionHard
	maps.Copy(args, b.kubernetes.KubeletExtraArgs)
	return args
}

func tlsArgs(k *v1alpha1.KubernetesLayer) map[string]string {
	if k.TLSCipherSuites == "" {
		return map[string]string{}
	}
	return map[string]string{"tls-cipher-suites": k.TLSCipherSuites}
}

// setArgs puts flags at path as Cluster API lists them: by name, later sources over earlier ones.
func setArgs(m tree, path []string, sources ...map[string]string) {
	all := map[string]string{}
	for _, s := range sources {
		maps.Copy(all, s)
	}
	var args list
	sorted(all, func(name, value string) {
		args = append(args, tree{"name": name, "value": value})
	})
	if len(args) > 0 {
		set(m, args, path...)
	}
}
