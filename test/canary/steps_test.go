package canary

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fluxcd/gitkit"
	"github.com/fluxcd/pkg/gittestserver"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// overHTTPS has the repository read with a password and with a token, after each of them was wrong and after the
// server repeated it in many ways.
func (x *scene) overHTTPS() {
	x.T.Helper()
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("fleet:"+password))
	}
	x.git.admits(basic(credentials["Git password"]))
	x.git.admits("Bearer " + credentials["Git token"])
	x.keep("git-https", map[string]string{"username": "fleet", "password": credentials["wrong Git password"], "ca.crt": x.git.ca()})
	x.NewFleet("production", func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL, f.Spec.Git.SecretRef.Name = x.git.URL+"/fleet.git", "git-https"
		f.Spec.Limits.RemovedMachines = new(int32)
	})
	x.fleetSays("production", v1alpha1.AuthenticationFailedReason, "401")
	for _, secret := range []map[string]string{
		{"username": "fleet", "password": credentials["Git password"]},
		{"bearerToken": credentials["wrong Git token"]},
		{"bearerToken": credentials["Git token"]},
	} {
		x.keep("git-https", secret)
		x.fleetSays("production", v1alpha1.AuthenticationFailedReason, "unknown authority")
		secret["ca.crt"] = x.git.ca()
		x.keep("git-https", secret)
		for mode, reason := range map[string]string{
			"redirects": v1alpha1.SourceRefusedReason, "page": v1alpha1.RepositoryUnreachableReason, "explains": v1alpha1.AuthenticationFailedReason,
		} {
			x.git.is(mode)
			x.fleetSays("production", reason, map[string]string{"redirects": "elsewhere.example.com", "page": "Content-Type", "explains": "the server says"}[mode])
		}
		x.git.is("")
	}
	x.Within(hand.Soon, "the repository is read", func() error {
		if f := x.Fleet("production"); f.Status.LastAttemptedRevision == "" {
			return fmt.Errorf("the Fleet says %+v", f.Status.Conditions)
		}
		return nil
	})
}

// account has credentials of Prism Central that are missing by half, wrong, and asked for by a hostile Prism Central; a
// Secret of somebody else in the place of a cluster's; and then right ones that are rotated.
func (x *scene) account() {
	x.T.Helper()
	x.keep("pc-east-ca", map[string]string{"ca.crt": x.prism.ca()})
	x.keep("pc-east-workload", map[string]string{"username": "ccm", "password": credentials["workload password"]})
	x.keep("pc-east-credentials", map[string]string{"password": credentials["password without a user"]})
	x.Within(hand.Soon, "the account is there", func() error {
		return x.Client.Get(x.T.Context(), x.Key("pc-east"), &v1alpha1.CloudAccount{})
	})
	x.accountSays("half", "lacks the key username")
	give := func(secret string) {
		x.T.Helper()
		x.keep("pc-east-credentials", map[string]string{"username": prismUser, "password": credentials[secret]})
	}
	give("wrong Prism password")
	x.accountSays("wrong", "does not accept the password", "no cluster has got them")
	x.proving()
	x.keep("canary-1-pc-credentials", map[string]string{"credentials": credentials["somebody else's"]})
	give("Prism Central password")
	x.accountSays("of somebody else", "canary-1-pc-credentials")
	x.Kubectl("delete", "secret", "canary-1-pc-credentials")
	x.accountSays("right", "distributed to 1 clusters")
	give("rotated Prism password")
	x.accountSays("not valid yet", "not proved", "every cluster keeps")
	if err := x.prism.prism.SetPassword(prismUser, credentials["rotated Prism password"]); err != nil {
		x.T.Fatal(err)
	}
	x.accountSays("rotated", "distributed to 1 clusters")
}

// panics has a reconcile panic while it holds the credentials of its repository.
func (x *scene) panics() {
	x.T.Helper()
	trap.Set("gitsource.(*Repository).Snapshot", "(*FleetReconciler).Reconcile")
	x.Within(hand.Soon, "a reconcile panicked", func() error {
		if trap.Sprung() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	x.Within(hand.Soon, "and the log tells", func() error {
		log, err := os.ReadFile(x.Log)
		if err == nil && !strings.Contains(string(log), "the clock stands still") {
			return errors.New("not yet")
		}
		return err
	})
	x.FleetHas("production", v1alpha1.ReadyCondition, metav1.ConditionTrue, "", hand.Soon)
}

// keys are what makes up the SSH identity; filled by overSSH.
var keys = map[string]string{}

// overSSH has the repository read with an encrypted key, after its passphrase and the host key were wrong.
func (x *scene) overSSH() {
	x.T.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		x.T.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(credentials["SSH passphrase"]))
	if err != nil {
		x.T.Fatal(err)
	}
	identity := string(pem.EncodeToMemory(block))
	for i, line := range strings.Split(strings.TrimSpace(identity), "\n") {
		if !strings.Contains(line, "OPENSSH") {
			keys[fmt.Sprintf("line %d of the SSH key", i)] = line
		}
	}
	keys["seed of the SSH key"] = hex.EncodeToString(private.Seed())
	owner, err := ssh.NewPublicKey(public)
	if err != nil {
		x.T.Fatal(err)
	}
	at, host := x.serveSSH(owner)
	known := func(key ssh.PublicKey) string { return knownhosts.Line([]string{at}, key) }
	x.keep("git-ssh", map[string]string{"identity": identity, "password": credentials["wrong SSH passphrase"], "known_hosts": known(host)})
	x.NewFleet("over-ssh", func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL, f.Spec.Git.SecretRef.Name, f.Spec.Git.Path = "ssh://git@"+at+"/fleet.git", "git-ssh", "./other"
	})
	x.fleetSays("over-ssh", v1alpha1.AuthenticationFailedReason, "does not open")
	x.keep("git-ssh", map[string]string{"identity": identity, "password": credentials["SSH passphrase"], "known_hosts": known(owner)})
	x.fleetSays("over-ssh", v1alpha1.AuthenticationFailedReason, "known_hosts")
	x.keep("git-ssh", map[string]string{"identity": identity, "password": credentials["SSH passphrase"], "known_hosts": known(host)})
	x.fleetSays("over-ssh", v1alpha1.PathNotFoundReason, "./other")
}

// serveSSH serves the scene's repository over SSH to the owner of a key.
func (x *scene) serveSSH(owner ssh.PublicKey) (at string, host ssh.PublicKey) {
	x.T.Helper()
	origin, err := exec.CommandContext(x.T.Context(), "git", "-C", x.Git.Clone(), "remote", "get-url", "origin").Output()
	if err != nil {
		x.T.Fatal(err)
	}
	served := gittestserver.NewGitServer(filepath.Dir(strings.TrimSpace(string(origin))))
	keyDir := x.T.TempDir()
	served.KeyDir(keyDir)
	served.Auth("", "")
	served.PublicKeyLookupFunc(func(content string) (*gitkit.PublicKey, error) {
		if content != strings.TrimSpace(string(ssh.MarshalAuthorizedKey(owner))) {
			return nil, errors.New("unknown key")
		}
		return &gitkit.PublicKey{Id: "test"}, nil
	})
	if err = served.ListenSSH(); err != nil {
		x.T.Fatal(err)
	}
	go func() { _ = served.StartSSH() }() // ends with StopSSH
	x.T.Cleanup(func() { _ = served.StopSSH() })
	found, err := filepath.Glob(filepath.Join(keyDir, "*.pub"))
	if err != nil || len(found) != 1 {
		x.T.Fatalf("host keys: %v, %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		x.T.Fatal(err)
	}
	host, _, _, _, err = ssh.ParseAuthorizedKey(text)
	if err != nil {
		x.T.Fatal(err)
	}
	return strings.TrimPrefix(served.SSHAddress(), "ssh://git@"), host
}
