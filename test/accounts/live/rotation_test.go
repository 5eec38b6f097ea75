// Package live changes a password of Prism Central under a running cluster of the real Cluster API and CAPX: it reaches
// CAPX and what runs inside the cluster, and no machine is touched.
package live

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{Managers: true}, controllers.Options{InventoryInterval: time.Second}))
}

const (
	cluster = "rotated-1"
	// waiting is a cluster whose project is missing.
	waiting = "waiting-1"
	// rolled is how long machines may take on a busy computer.
	rolled = 4 * time.Minute

	first  = world.PrismPassword
	wrong  = "canary-of-no-password"
	second = "canary-the-second"
	third  = "canary-the-third"
)

// TestRotation takes one running cluster through a new Secret that is wrong, one that is right, and a crash in between.
func TestRotation(t *testing.T) {
	s := hand.NewScene(t, &shared, "rotation")
	c := s.Small(cluster)
	profile := rig.Profile("1.0.1", "v1.33.4") + "    - name: csi\n      type: Storage\n      manifests: {paths: [../layers/csi.yaml]}\n"
	s.Push("a layer of type Storage", map[string]string{
		"layers/csi.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: csi, namespace: kube-system}\n", "fleet/storage.yaml": profile,
	})
	c.Profile = "1.0.1"
	s.Declare(nil, c)
	held := s.Small(waiting)
	s.Push("a project that is missing", map[string]string{"fleet/" + waiting + ".yaml": strings.Replace(held.File(), "platform", "payments", 1)})
	s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", rolled)
	for _, step := range []struct {
		name string
		run  func(s scene, c rig.Cluster)
	}{
		{"Given", given},
		{"WrongSecretChangesNothing", refused},
		{"Rotated", rotated},
		{"CAPXUsesIt", used},
		{"CrashBeforeCAPXWasWoken", crashed},
		{"HeldClusterComesToLife", lives},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			on := *s
			inner := *s.Scene
			inner.T, on.Scene = t, &inner
			step.run(scene{&on}, c)
		}) {
			t.FailNow()
		}
	}
	var secrets []string
	for _, p := range []string{first, wrong, second, third} {
		secrets = append(secrets, p, base64.StdEncoding.EncodeToString([]byte(p)))
	}
	hand.Quiet(t, &shared, secrets...)
}

// scene is the cluster's.
type scene struct{ *hand.Scene }

func (s scene) prism() *simulator.Server { return s.World.Prism.Server }

// workload connects to the cluster with the kubeconfig that Cluster API wrote.
func (s scene) workload() client.Client {
	s.T.Helper()
	secret := &corev1.Secret{}
	if err := s.Client.Get(s.T.Context(), s.Key(cluster+"-kubeconfig"), secret); err != nil {
		s.T.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		s.T.Fatal(err)
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		s.T.Fatal(err)
	}
	return c
}

// inside fails unless the cloud controller manager and the CSI driver find a password inside the cluster.
func (s scene) inside(password string) error {
	s.T.Helper()
	workload := s.workload()
	var failed []error
	for place, key := range map[client.ObjectKey]string{
		{Namespace: "kube-system", Name: "nutanix-creds"}:           "credentials",
		{Namespace: "ntnx-system", Name: "nutanix-csi-credentials"}: "key",
		{Namespace: "ntnx-system", Name: "ntnx-pc-secret"}:          "key",
	} {
		secret := &corev1.Secret{}
		if err := workload.Get(s.T.Context(), place, secret); err != nil {
			failed = append(failed, err)
			continue
		}
		// The cluster's API server is a small one, which leaves stringData as it is.
		if text := string(secret.Data[key]) + secret.StringData[key]; !strings.Contains(text, password) {
			failed = append(failed, fmt.Errorf("%s holds another password", place))
		}
	}
	return errors.Join(failed...)
}

// given fails unless CAPX, and what runs inside the cluster, have a password.
func (s scene) given(password string) error {
	s.T.Helper()
	if !bytes.Contains(s.credentials(cluster + "-pc-credentials").Data["credentials"], []byte(password)) {
		return fmt.Errorf("CAPX has another password")
	}
	return s.inside(password)
}

func (s scene) credentials(name string) *corev1.Secret {
	s.T.Helper()
	secret := &corev1.Secret{}
	if err := s.Client.Get(s.T.Context(), s.Key(name), secret); err != nil {
		s.T.Fatal(err)
	}
	return secret
}

// write changes the password in the account's Secret, as a person would.
func (s scene) write(password string) {
	s.T.Helper()
	s.Kubectl("patch", "secret", "pc-east-credentials", "--type=merge", "-p", fmt.Sprintf(`{"stringData":{"password":%q}}`, password))
}

func (s scene) account() *v1alpha1.CloudAccount {
	s.T.Helper()
	a := &v1alpha1.CloudAccount{}
	if err := s.Client.Get(s.T.Context(), s.Key("pc-east"), a); err != nil {
		s.T.Fatal(err)
	}
	return a
}

// says waits until the account's Ready has a status and reason.
func (s scene) says(status metav1.ConditionStatus, reason string) *v1alpha1.CloudAccount {
	s.T.Helper()
	var a *v1alpha1.CloudAccount
	s.Within(hand.Soon, fmt.Sprintf("the account has Ready=%s/%s", status, reason), func() error {
		a = s.account()
		return rig.Has(a, v1alpha1.ReadyCondition, status, reason)
	})
	return a
}

// woken is which credentials CAPX was told of.
func (s scene) woken() string {
	s.T.Helper()
	return s.Scene.Now(hand.Infra, "NutanixCluster", cluster).GetAnnotations()[v1alpha1.CredentialsAnnotation]
}

// vms are the machines' virtual machines, and whether they are on.
func (s scene) vms() string {
	var all []string
	for _, vm := range s.prism().VMs() {
		all = append(all, fmt.Sprintf("%s %s %s", vm.Name, vm.ExtID, vm.PowerState))
	}
	return strings.Join(all, "\n")
}

// logins of CAPX that hold.
func (s scene) logins() int {
	n := 0
	for _, one := range s.prism().Sessions() {
		if one.Client != "refract" && !one.Ended {
			n++
		}
	}
	return n
}

func given(s scene, _ rig.Cluster) {
	s.says(metav1.ConditionTrue, v1alpha1.SucceededReason)
	s.Within(hand.Soon, "CAPX and what runs inside the cluster have the credentials", func() error { return s.given(first) })
	if s.logins() == 0 {
		s.T.Error("CAPX has never logged in")
	}
}

// refused writes a Secret with a password that is wrong.
func refused(s scene, _ rig.Cluster) {
	before, machines, vms := s.account().Status, s.Machines(cluster), s.vms()
	secrets := []*corev1.Secret{s.credentials(cluster + "-pc-credentials"), s.credentials(cluster + "-ccm-credentials")}
	logins, woken := s.logins(), s.woken()
	s.write(wrong)
	a := s.says(metav1.ConditionFalse, v1alpha1.AuthenticationFailedReason)
	i := slices.IndexFunc(a.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ReadyCondition })
	if message := a.Status.Conditions[i].Message; !strings.Contains(message, "every cluster keeps those that were proved before") || !strings.Contains(message, "Secret pc-east-credentials") {
		s.T.Errorf("it says %s", message)
	}
	lists := func() int { return s.prism().RequestsBy("refract")["GET /api/vmm/v4.2/ahv/config/vms"] }
	until := lists() + 3
	s.Within(hand.Soon, "the inventory is read on with the old password", func() error {
		if have := lists(); have < until {
			return fmt.Errorf("%d of %d", have, until)
		}
		return nil
	})
	for _, was := range secrets {
		if is := s.credentials(was.Name); is.ResourceVersion != was.ResourceVersion {
			s.T.Errorf("%s was written", was.Name)
		}
	}
	if err := s.given(first); err != nil {
		s.T.Error(err)
	}
	if now := s.account().Status.Credentials; *now != *before.Credentials {
		s.T.Errorf("status.credentials was %+v and is %+v", before.Credentials, now)
	}
	if s.logins() < logins || s.woken() != woken {
		s.T.Errorf("CAPX was disturbed: %d logins of %d, credentials %s of %s", s.logins(), logins, s.woken(), woken)
	}
	s.untouched(machines, vms)
	s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", hand.Soon)
}

func (s scene) untouched(machines any, vms string) {
	s.T.Helper()
	if now := s.Machines(cluster); fmt.Sprint(now) != fmt.Sprint(machines) {
		s.T.Errorf("machines were %v and are %v", machines, now)
	}
	if now := s.vms(); now != vms {
		s.T.Errorf("VMs were\n%s\nand are\n%s", vms, now)
	}
}

// rotated changes the password in Prism Central and in the Secret.
func rotated(s scene, _ rig.Cluster) {
	before, machines, vms, woken := s.account().Status.Credentials, s.Machines(cluster), s.vms(), s.woken()
	if err := s.prism().SetPassword(world.PrismUsername, second); err != nil {
		s.T.Fatal(err)
	}
	// From here on everybody needs the new password. Not while CAPX makes a machine: the client that it looks projects up
	// with sends nothing the second time when its session has expired, and CAPX gives the machine up.
	s.prism().ExpireSessions()
	s.write(second)
	s.Within(hand.Soon, "the new credentials are everywhere", func() error { return s.given(second) })
	s.says(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if now := s.account().Status.Credentials; now.ProvedAt.Equal(&before.ProvedAt) {
		s.T.Errorf("status.credentials is still %+v", now)
	}
	s.Within(hand.Soon, "CAPX is told", func() error {
		now := s.woken()
		if noted := s.credentials(cluster + "-pc-credentials").Annotations[v1alpha1.CredentialsAnnotation]; now == woken || now != noted {
			return fmt.Errorf("its NutanixCluster has %q, had %q, and its Secret has %q", now, woken, noted)
		}
		return nil
	})
	s.untouched(machines, vms)
	s.InSync(cluster)
}

// used has CAPX make a machine. All sessions from before the rotation have ended, so it had to log in again.
func used(s scene, c rig.Cluster) {
	s.Within(hand.Soon, "CAPX has logged in again", func() error {
		if s.logins() == 0 {
			return fmt.Errorf("it has no session")
		}
		return nil
	})
	rejected := s.prism().Rejected()[world.PrismUsername]
	machines := s.Machines(cluster)
	c.Workers = 2
	s.Change("one more", c)
	s.Within(rolled, "a machine is made with the new password", func() error {
		if counts := s.Cluster(cluster).Status.Workers; counts.Available != 2 {
			return fmt.Errorf("%+v", counts)
		}
		return nil
	})
	if now := s.prism().Rejected()[world.PrismUsername]; now != rejected {
		s.T.Errorf("the old password was tried %d times more", now-rejected)
	}
	for uid, name := range machines {
		if s.Machines(cluster)[uid] == "" {
			s.T.Errorf("machine %s was replaced", name)
		}
	}
}

// crashed stops the operator between writing CAPX's Secret and waking CAPX.
func crashed(s scene, _ rig.Cluster) {
	woken, machines, vms := s.woken(), s.Machines(cluster), s.vms()
	s.Restart(func() {
		if err := s.prism().SetPassword(world.PrismUsername, third); err != nil {
			s.T.Fatal(err)
		}
		s.write(third)
		secret := s.credentials(cluster + "-pc-credentials")
		written := secret.DeepCopy()
		written.Data["credentials"] = bytes.ReplaceAll(secret.Data["credentials"], []byte(second), []byte(third))
		if err := s.Client.Patch(s.T.Context(), written, client.MergeFrom(secret), client.FieldOwner(v1alpha1.AccountFieldManager)); err != nil {
			s.T.Fatal(err)
		}
	})
	s.Within(hand.Soon, "CAPX is told by the next operator", func() error {
		now := s.woken()
		if noted := s.credentials(cluster + "-pc-credentials").Annotations[v1alpha1.CredentialsAnnotation]; now == woken || now != noted {
			return fmt.Errorf("its NutanixCluster has %q, had %q, and its Secret has %q", now, woken, noted)
		}
		return s.given(third)
	})
	s.untouched(machines, vms)
	s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", hand.Soon)
}

// lives has the cluster that preflight held all the while come up, once Prism Central has what it needs.
func lives(s scene, _ rig.Cluster) {
	s.ClusterHas(waiting, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.PreflightFailedReason, hand.Soon)
	if s.Object(hand.Core, "Cluster", waiting) != nil || strings.Contains(s.vms(), waiting) {
		s.T.Error("it was made although preflight holds it")
	}
	if err := s.prism().EditModel(func(m *simulator.Model) { m.Projects = append(m.Projects, simulator.Project{Name: "payments"}) }); err != nil {
		s.T.Fatal(err)
	}
	have := s.ClusterHas(waiting, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", rolled)
	if err := rig.Has(have, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, v1alpha1.PreflightPassedReason); err != nil {
		s.T.Error(err)
	}
}
