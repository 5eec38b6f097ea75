package install

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

var groupVersion = v1alpha1.GroupVersion

// Operator is how the release's Deployment runs the operator.
type Operator struct {
	// Image that nodes would run.
	Image string
	// Args of the container, the subcommand first.
	Args []string
	// Env of the container as name=value.
	Env []string
	// Account is the name of the pod's service account.
	Account string
	// Template of the pods.
	Template corev1.PodTemplateSpec
}

// Deployment reads the release's Deployment as the API server holds it.
func (r *Release) Deployment(ctx context.Context) (*appsv1.Deployment, error) {
	list := &appsv1.DeploymentList{}
	if err := r.Client.List(ctx, list, client.InNamespace(r.Namespace), client.MatchingLabels{"app.kubernetes.io/instance": r.Name}); err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("release %s has %d Deployments, want 1", r.Name, len(list.Items))
	}
	return &list.Items[0], nil
}

// Operator reads from the Deployment how to run the operator. It fails for environment variables that only a kubelet
// can fill.
func (r *Release) Operator(ctx context.Context) (Operator, error) {
	d, err := r.Deployment(ctx)
	if err != nil {
		return Operator{}, err
	}
	pod := d.Spec.Template.Spec
	if len(pod.Containers) != 1 || len(pod.Containers[0].Command) > 0 {
		return Operator{}, fmt.Errorf("the Deployment has %d containers, or a command: want one container that runs its image's own program", len(pod.Containers))
	}
	container := pod.Containers[0]
	o := Operator{Image: container.Image, Args: container.Args, Account: pod.ServiceAccountName, Template: d.Spec.Template}
	for _, e := range container.Env {
		if e.ValueFrom != nil {
			return Operator{}, fmt.Errorf("environment variable %s takes its value from elsewhere", e.Name)
		}
		o.Env = append(o.Env, e.Name+"="+e.Value)
	}
	return o, nil
}

// Local are the arguments to run the operator's binary on this machine: the Deployment's, then what differs outside a
// pod, a kubeconfig and the addresses to listen on, since :8080 may be taken; "0" serves none.
func (o Operator) Local(kubeconfig, metrics, health string) []string {
	return append(slices.Clone(o.Args), "--kubeconfig="+kubeconfig, "--metrics-bind-address="+metrics, "--health-probe-bind-address="+health)
}

// Account connects as the operator's service account, with a token as the kubelet would mount it, good for a day.
func (r *Release) Account(ctx context.Context) (*rest.Config, error) {
	o, err := r.Operator(ctx)
	if err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: o.Account}}
	seconds := int64((24 * time.Hour).Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := r.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("token of service account %s/%s: %w", r.Namespace, o.Account, err)
	}
	return &rest.Config{
		Host: r.world.REST.Host, BearerToken: request.Status.Token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: r.world.REST.CAData},
	}, nil
}

// Kubeconfig writes a connection as a kubeconfig file.
func Kubeconfig(path string, c *rest.Config) error {
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"world": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			"user": {Token: c.BearerToken, ClientCertificateData: c.CertData, ClientKeyData: c.KeyData},
		},
		Contexts:       map[string]*clientcmdapi.Context{"world": {Cluster: "world", AuthInfo: "user"}},
		CurrentContext: "world",
	}, path)
	if err != nil {
		return fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return nil
}
