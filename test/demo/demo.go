package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

const (
	operatorName = "refract"
	namespace    = "clusters"
	fleetName    = "production"
	// you is the user that the demo's kubeconfig is for, who may do everything.
	you = "you"
	// serviceAccount is the user that config/rbac gives the operator's rights to.
	serviceAccount = "system:serviceaccount:refract-system:refract-manager"
)

// demo is one run.
type demo struct {
	show *show
	// dir holds all files of the run.
	dir    string
	world  *world.World
	git    *rig.Git
	gitLog *os.File
	client client.Client
	// enter delivers each press of the Enter key; nil when nobody sits in front of the terminal.
	enter <-chan struct{}

	// number and title of the step under way.
	number int
	title  string
}

func (d *demo) log(name string) string { return filepath.Join(d.world.Dir(), name+".log") }

// kubeconfig that what is typed uses.
func (d *demo) kubeconfig() string { return filepath.Join(d.dir, "kubeconfig") }

// bin holds kubectl and refract.
func (d *demo) bin() string { return filepath.Join(d.dir, "bin") }

// startWorld starts everything but Refract. What Refract is installed with is there afterwards.
func (d *demo) startWorld(ctx context.Context) error {
	ctrl.SetLogger(logr.Discard())
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	config := filepath.Join(rig.Root(), "config")
	manifests := []string{filepath.Join(config, "manager", "namespace.yaml")}
	for _, dir := range []string{"rbac", "policy"} {
		files, err := filepath.Glob(filepath.Join(config, dir, "*.yaml"))
		if err != nil {
			return err
		}
		manifests = append(manifests, files...)
	}
	manifests = slices.DeleteFunc(manifests, func(file string) bool { return filepath.Base(file) == "kustomization.yaml" })
	var err error
	d.world, err = world.Start(ctx, world.Options{
		Out: &indented{show: d.show}, Dir: filepath.Join(d.dir, "world"), Managers: true,
		CRDDirs: []string{filepath.Join(config, "crd", "bases")}, Manifests: manifests,
	})
	if err != nil {
		return err
	}
	d.show.write("\n")
	admin, err := d.world.User(you, "system:masters")
	if err != nil {
		return err
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	if d.client, err = client.New(admin, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return writeKubeconfig(d.kubeconfig(), you, admin)
}

// startOperator builds Refract and runs it as its service account would, which has the rights of config/rbac only. The
// result is the command line.
func (d *demo) startOperator(ctx context.Context) error {
	if err := os.MkdirAll(d.bin(), 0o750); err != nil {
		return err
	}
	binary, err := d.build(ctx)
	if err != nil {
		return err
	}
	if err = errors.Join(
		os.Symlink(binary, filepath.Join(d.bin(), operatorName)),
		os.Symlink(d.world.Kubectl, filepath.Join(d.bin(), controlplane.Kubectl))); err != nil {
		return err
	}
	user, err := d.world.User(serviceAccount, "system:serviceaccounts")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(d.dir, "operator.kubeconfig")
	if err = writeKubeconfig(kubeconfig, "refract-manager", user); err != nil {
		return err
	}
	health, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	args := []string{
		"manager", "--kubeconfig=" + kubeconfig, "--allow-insecure-git", "--log-encoding=console",
		"--metrics-bind-address=0", "--health-probe-bind-address=" + health, "--inventory-interval=5s",
	}
	d.show.command("refract " + strings.Join(args, " "))
	return d.world.Run(ctx, operatorName, binary, args, func(ctx context.Context) error { return ready(ctx, "http://"+health+"/readyz") })
}

// build builds Refract into the cache of the test world, where it is found ready the next time; as the tests build it, so
// that most of it is compiled once.
func (d *demo) build(ctx context.Context) (string, error) {
	done := d.busy(ctx, "building refract")
	builder, err := controlplane.New(ctx, nil)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(filepath.Dir(builder.Cache), "demo", operatorName)
	if err := rig.Build(ctx, rig.Root(), binary); err != nil {
		return "", err
	}
	done()
	return binary, nil
}

// freeAddress is an address of the loopback network that nothing listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

func writeKubeconfig(path, name string, c *rest.Config) error {
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"demo": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"demo": {Cluster: "demo", AuthInfo: name}},
		CurrentContext: "demo",
	}, path)
	if err != nil {
		return fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return nil
}

// startGit starts a Git server with an empty repository and makes its clone one that a person would have: it pushes
// over http, as the user that the server asks for.
func (d *demo) startGit(ctx context.Context) error {
	dir := filepath.Join(d.dir, "git")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	var err error
	if d.gitLog, err = os.Create(d.log("git")); err != nil {
		return err
	}
	log.SetOutput(d.gitLog) // the server uses the standard logger
	if d.git, err = rig.NewGit(ctx, dir); err != nil {
		return err
	}
	for _, command := range []string{
		"git remote set-url origin " + d.cloneURL(),
		"git config user.name You", "git config user.email you@example.com", "git config push.default current",
	} {
		if _, err = d.run(ctx, command); err != nil {
			return err
		}
	}
	files, err := sampleFiles(d.world.Prism.Host, []string{d.world.Endpoint(), d.world.Endpoint(), d.world.Endpoint()})
	if err != nil {
		return err
	}
	files[fleetFile] = fleetObject(d.git.URL())
	for path, text := range files {
		name := filepath.Join(d.git.Clone(), filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return fmt.Errorf("writing the sample fleet: %w", err)
		}
	}
	return nil
}

// patience bounds how long the machines of a small change may take on a busy computer, promptness how long Refract may
// take to notice and to say something.
const (
	patience   = 6 * time.Minute
	promptness = time.Minute
)
