package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/world"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// started is this package's API server, once a test needed one: with the webhooks of Cluster API and CAPX, whose
// controllers touch nothing, so that nothing moves but what a test moves.
var started *world.World

var start = sync.OnceValue(func() error {
	var err error
	started, err = world.Start(context.Background(), world.Options{
		Out: os.Stderr, Managers: true, NoReconcile: true,
		CRDDirs: []string{"../../config/crd/bases"},
		Manifests: []string{
			"../../config/policy/approval.yaml", "../../config/policy/deletion.yaml", "../../config/rbac/approver_role.yaml",
			"../../config/rbac/viewer_role.yaml",
		},
	})
	return err
})

// management is a namespace of its own on the API server.
type management struct {
	namespace string
	admin     client.Client
	// kubeconfig of the administrator.
	kubeconfig string
}

func manage(t *testing.T) management {
	t.Helper()
	if err := start(); err != nil {
		t.Fatal(err)
	}
	admin, err := connect(started.REST)
	if err != nil {
		t.Fatal(err)
	}
	namespace := "cli-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	create(t, admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	return management{namespace: namespace, admin: admin, kubeconfig: started.Kubeconfig}
}

func create(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// command runs a command against this namespace.
func (m management) command(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, append(args, "--kubeconfig", m.kubeconfig, "--namespace", m.namespace)...)
}

// as is the same namespace through the eyes of another user, with the given ClusterRole where one is named.
func (m management) as(t *testing.T, user, role string) management {
	t.Helper()
	config, err := started.User(user)
	if err != nil {
		t.Fatal(err)
	}
	m.kubeconfig = kubeconfig(t, user, config)
	if role == "" {
		return m
	}
	create(t, m.admin, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	c, err := connect(config)
	if err != nil {
		t.Fatal(err)
	}
	// The authorizer's cache follows the binding.
	err = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		listed := c.List(ctx, &v1alpha1.FleetList{}, client.InNamespace(m.namespace))
		if apierrors.IsForbidden(listed) {
			return false, nil
		}
		return listed == nil, listed
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func kubeconfig(t *testing.T, user string, c *rest.Config) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"world": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: {ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"world": {Cluster: "world", AuthInfo: user}},
		CurrentContext: "world",
	}, name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// fleet makes a Fleet with limits.
func (m management) fleet(t *testing.T, limits v1alpha1.Limits) *v1alpha1.Fleet {
	t.Helper()
	f := &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "production"},
		Spec:       production(limits),
	}
	create(t, m.admin, f)
	return f
}

func production(limits v1alpha1.Limits) v1alpha1.FleetSpec {
	return v1alpha1.FleetSpec{
		Git: v1alpha1.GitSource{URL: "https://git.example.com/clusters.git", Ref: v1alpha1.GitRef{Branch: "main"}}, Limits: limits,
		Interval: metav1.Duration{Duration: time.Minute},
	}
}

// editor makes a role that may do everything to clusters but approve, and returns its name.
func (m management) editor(t *testing.T) string {
	t.Helper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: m.namespace + "-editor"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"refract.dev"}, Resources: []string{"fleets", "nutanixclusterspecs"},
			Verbs: []string{"get", "list", "watch", "patch", "update"},
		}},
	}
	create(t, m.admin, role)
	return role.Name
}

func move(t *testing.T, from, to string) {
	t.Helper()
	copyFile(t, from, to)
	if err := os.Remove(from); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, string(text), to)
}
