package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	cloudv1 "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/cloud/api/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	controlPlaneRole = "node-role.kubernetes.io/control-plane"
	kubeadmConfig    = "kubeadm-config"
)

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		cloudv1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, rbacv1.AddToScheme, storagev1.AddToScheme,
		apiextensionsv1.AddToScheme, policyv1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return s
}

// createKubeadmObjects makes what kubeadm init leaves in the API and what a Kubernetes upgrade looks for.
func (c *cluster) createKubeadmObjects(ctx context.Context, m *machine) error {
	version := m.kubernetesVersion
	getNodes := "kubeadm:get-nodes"
	objects := []client.Object{
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: kubeadmConfig},
			Data:       map[string]string{"ClusterConfiguration": m.clusterConfiguration},
		},
		&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: getNodes},
			Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"nodes"}}},
		},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: getNodes},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: getNodes},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:bootstrappers:kubeadm:default-node-token"}},
		},
		&appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-proxy", Labels: map[string]string{"k8s-app": "kube-proxy"}},
			Spec:       appsv1.DaemonSetSpec{Template: podTemplate("kube-proxy", "registry.k8s.io/kube-proxy:"+version)},
		},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "coredns"},
			Data:       map[string]string{"Corefile": ".:53 {\n    errors\n    health\n}\n"},
		},
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "coredns", Labels: map[string]string{"k8s-app": "kube-dns"}},
			Spec:       appsv1.DeploymentSpec{Template: podTemplate("coredns", "registry.k8s.io/coredns/coredns:v1.12.0")},
		},
	}
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic} {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return c.create(ctx, objects...)
}

func podTemplate(name, image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: image}}}}
}

// create makes objects that are not there yet.
func (c *cluster) create(ctx context.Context, objects ...client.Object) error {
	store := c.manager.GetResourceGroup(c.endpoint).GetClient()
	for _, o := range objects {
		if err := store.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// addNode lets a machine into the cluster. A join needs the bootstrap token that its cloud-init names, as kubeadm
// does; Cluster API creates it in the workload cluster.
func (c *cluster) addNode(ctx context.Context, m *machine) error {
	store := c.manager.GetResourceGroup(c.endpoint).GetClient()
	if !m.initialize {
		token := client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "bootstrap-token-" + m.tokenID}
		if err := store.Get(ctx, token, &corev1.Secret{}); err != nil {
			return fmt.Errorf("bootstrap token: %w", err)
		}
	}
	var pods []client.Object
	if m.controlPlane {
		// The etcd certificate comes first: as soon as the node is seen, somebody asks the member for its state.
		if err := c.addMember("etcd-" + m.Name); err != nil {
			return err
		}
		etcdPod, err := c.etcdPod(ctx, m)
		if err != nil {
			return err
		}
		pods = append(pods, etcdPod)
		for _, component := range staticPods()[1:] {
			pods = append(pods, staticPod(component, m.Name))
		}
	}
	version, err := c.kubeletVersion(ctx, m)
	if err != nil {
		return err
	}
	return c.create(ctx, append(pods, node(m, version))...)
}

// removeNode takes a machine out and returns how many control planes are left.
func (c *cluster) removeNode(ctx context.Context, m *machine) (int, error) {
	store := c.manager.GetResourceGroup(c.endpoint).GetClient()
	gone := []client.Object{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.Name}}}
	for _, component := range staticPods() {
		gone = append(gone, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: component + "-" + m.Name}})
	}
	var failures []error
	for _, o := range gone {
		failures = append(failures, client.IgnoreNotFound(store.Delete(ctx, o)))
	}
	failures = append(failures, c.electLeader(ctx))
	return c.removeMember("etcd-" + m.Name), errors.Join(failures...)
}

// electLeader makes a remaining etcd member the leader if the leader went without handing over.
func (c *cluster) electLeader(ctx context.Context) error {
	members := &corev1.PodList{}
	store := c.manager.GetResourceGroup(c.endpoint).GetClient()
	if err := store.List(ctx, members, client.InNamespace(metav1.NamespaceSystem), client.MatchingLabels{"component": "etcd"}); err != nil {
		return fmt.Errorf("listing etcd members: %w", err)
	}
	var candidate *corev1.Pod
	for i := range members.Items {
		pod := &members.Items[i]
		if _, removed := pod.Annotations[cloudv1.EtcdMemberRemoved]; removed {
			continue
		}
		if pod.Annotations[cloudv1.EtcdLeaderFromAnnotationName] != "" {
			return nil
		}
		candidate = pod
	}
	if candidate == nil {
		return nil
	}
	elected := candidate.DeepCopy()
	elected.Annotations[cloudv1.EtcdLeaderFromAnnotationName] = now()
	return store.Patch(ctx, elected, client.MergeFrom(candidate))
}

// now is the real time, as the etcd handler reads it.
func now() string { return time.Now().Format(time.RFC3339) } //nolint:forbidigo // the program plays real machines

// staticPods names the static pods of a control plane, etcd first.
func staticPods() []string {
	return []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
}

func staticPod(component, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceSystem, Name: component + "-" + node,
			Labels:      map[string]string{"component": component, "tier": "control-plane"},
			Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "static"}, // drain leaves it alone
		},
		Spec: corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}

// etcdPod is the member of a control plane; its annotations are the state that the etcd handler answers with.
func (c *cluster) etcdPod(ctx context.Context, m *machine) (*corev1.Pod, error) {
	pod := staticPod("etcd", m.Name)
	pod.Annotations[cloudv1.EtcdClusterIDAnnotationName] = "1"
	pod.Annotations[cloudv1.EtcdMemberIDAnnotationName] = strconv.Itoa(c.memberID())
	members := &corev1.PodList{}
	store := c.manager.GetResourceGroup(c.endpoint).GetClient()
	if err := store.List(ctx, members, client.InNamespace(metav1.NamespaceSystem), client.MatchingLabels{"component": "etcd"}); err != nil {
		return nil, fmt.Errorf("listing etcd members: %w", err)
	}
	if len(members.Items) == 0 {
		pod.Annotations[cloudv1.EtcdLeaderFromAnnotationName] = now()
	}
	return pod, nil
}

// imageVersion finds a Kubernetes version in the name of an image, as in ubuntu-24.04-kube-v1.33.4.
var imageVersion = regexp.MustCompile(`v\d+\.\d+\.\d+[-+.a-z0-9]*$`)

// kubeletVersion is what the VM's image holds, as far as its name tells, else the version of the cluster.
func (c *cluster) kubeletVersion(ctx context.Context, m *machine) (string, error) {
	if version := imageVersion.FindString(m.Image); version != "" {
		return version, nil
	}
	store := c.manager.GetResourceGroup(c.endpoint).GetClient()
	config := &corev1.ConfigMap{}
	if err := store.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: kubeadmConfig}, config); err != nil {
		return "", fmt.Errorf("reading kubeadm's configuration: %w", err)
	}
	var document struct {
		KubernetesVersion string `json:"kubernetesVersion"`
	}
	if err := yaml.Unmarshal([]byte(config.Data["ClusterConfiguration"]), &document); err != nil {
		return "", fmt.Errorf("reading kubeadm's configuration: %w", err)
	}
	return document.KubernetesVersion, nil
}

// node is the node of a machine, as its kubelet and the cloud controller manager would have left it.
func node(m *machine, version string) *corev1.Node {
	since := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, LastHeartbeatTime: since, LastTransitionTime: since}
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   m.Name,
			Labels: map[string]string{corev1.LabelHostname: m.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"},
		},
		Spec: corev1.NodeSpec{ProviderID: "nutanix://" + m.ExtID},
		Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: version, SystemUUID: m.ExtID, MachineID: m.ExtID, OperatingSystem: "linux", Architecture: "amd64",
				OSImage: m.Image, ContainerRuntimeVersion: "containerd://2.1.0",
			},
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: m.IP}, {Type: corev1.NodeHostName, Address: m.Name}},
			Conditions: []corev1.NodeCondition{
				condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady"),
				condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory"),
				condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure"),
				condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID"),
			},
		},
	}
	for label := range strings.SplitSeq(m.registration.kubeletArg("node-labels"), ",") {
		if key, value, ok := strings.Cut(label, "="); ok {
			n.Labels[key] = value
		}
	}
	for _, t := range m.registration.Taints {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	if m.controlPlane {
		n.Labels[controlPlaneRole] = ""
		if m.registration.Taints == nil {
			n.Spec.Taints = []corev1.Taint{{Key: controlPlaneRole, Effect: corev1.TaintEffectNoSchedule}}
		}
	}
	return n
}
