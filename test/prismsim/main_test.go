package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	prismgoclient "github.com/nutanix-cloud-native/prism-go-client"
	convergedv4 "github.com/nutanix-cloud-native/prism-go-client/converged/v4"
	prismv3 "github.com/nutanix-cloud-native/prism-go-client/v3"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// beProgram is set in the environment of a test binary that is to be prismsim.
const beProgram = "PRISMSIM_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// start runs the program until the test ends; it returns where it serves, and a
// function that interrupts it and returns the rest of its output.
func start(t *testing.T, args ...string) (at string, stop func() string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"--listen=127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), beProgram+"=1", "SIM_PASSWORD=open sesame")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the program says %q, %v", first, err)
	}
	_, at, _ = strings.Cut(strings.TrimSpace(first), "https://")
	return at, func() string {
		t.Helper()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
		return string(rest)
	}
}

const site = `
prismElements: [{name: berlin, aosVersion: "7.3"}]
subnets:
- {name: lan, prismElements: [berlin], network: 10.1.0.0/24, gateway: 10.1.0.1, firstIP: 10.1.0.10, lastIP: 10.1.0.20}
storageContainers: [{name: disks, prismElement: berlin}]
projects: [{name: lab}]
vms:
- {name: db-1, prismElement: berlin, subnets: [lan], sockets: 2, coresPerSocket: 1, memoryBytes: 4294967296, powerState: "ON"}
`

func TestRealClientsMeetTheProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model, faults, ca := filepath.Join(dir, "site.yaml"), filepath.Join(dir, "faults.yaml"), filepath.Join(dir, "ca.pem")
	write(t, model, site)
	write(t, faults, "- {name: once, effect: Error, status: 503, path: /api/vmm/v4.2/content/images, times: 1}\n")
	at, stop := start(t, "--model", model, "--faults", faults, "--ca-out", ca,
		"--user=ops", "--password-env=SIM_PASSWORD", "--task-delay=10ms", "--boot-delay=10ms")

	where, err := url.Parse("https://" + at)
	if err != nil {
		t.Fatal(err)
	}
	account := prismgoclient.Credentials{
		URL: at, Endpoint: at, Port: where.Port(), Username: "ops", Password: "open sesame", Insecure: true, SessionAuth: true,
	}
	client, err := convergedv4.NewClient(account)
	if err != nil {
		t.Fatal(err)
	}
	vms, err := client.VMs.List(t.Context())
	if err != nil || len(vms) != 1 || *vms[0].Name != "db-1" {
		t.Fatalf("VMs %v, %v", vms, err)
	}
	off, err := client.VMs.PowerOffVM(*vms[0].ExtId)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := off.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	vm, err := client.VMs.Get(t.Context(), *vms[0].ExtId)
	if err != nil || vm.PowerState.GetName() != simulator.PowerOff {
		t.Errorf("switched off, the VM is %v, %v", vm, err)
	}
	if _, err := client.Images.List(t.Context()); err != nil {
		t.Error(err)
	}
	v3, err := prismv3.NewV3Client(account)
	if err != nil {
		t.Fatal(err)
	}
	projects, err := v3.V3.ListAllProject(t.Context(), "")
	if err != nil || len(projects.Entities) != 1 || projects.Entities[0].Spec.Name != "lab" {
		t.Errorf("projects %v, %v", projects, err)
	}
	if got := getTrusting(t, ca, "https://"+at+"/api/vmm/v4.2/ahv/config/templates"); got != http.StatusNotImplemented {
		t.Errorf("something else is answered with %d, want 501", got)
	}
	if rest := stop(); !strings.Contains(rest, "1 refused") || !strings.Contains(rest, "1 VMs are left") {
		t.Errorf("in the end the program says %q", rest)
	}
}

// getTrusting sends a request that trusts the program's certificate only.
func getTrusting(t *testing.T, ca, target string) int {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("ops", "open sesame")
	answered, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answered.Body.Close()
	return answered.StatusCode
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDumpedModelIsTheDefault(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--dump-model"}, os.Getenv, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	model, err := simulator.LoadModel(out.Bytes())
	if err != nil || len(model.PrismElements) != len(simulator.DefaultModel().PrismElements) {
		t.Errorf("read %d Prism Elements, %v", len(model.PrismElements), err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	badModel, badFault, badRoute := filepath.Join(dir, "m.yaml"), filepath.Join(dir, "f.yaml"), filepath.Join(dir, "r.yaml")
	write(t, badModel, "prismElements: [{name: a, colour: red}]")
	write(t, badFault, "- {effect: Drop, when: always}")
	write(t, badRoute, "- {effect: Drop}\n- {effect: Drop, path: /nowhere}")
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"NoModel":     {[]string{"--model", filepath.Join(dir, "none.yaml")}, []string{"none.yaml"}},
		"Model":       {[]string{"--model", badModel}, []string{"m.yaml", "colour"}},
		"Fault":       {[]string{"--faults", badFault}, []string{"f.yaml", "when"}},
		"Route":       {[]string{"--faults", badRoute}, []string{"r.yaml", "number 2", "/nowhere"}},
		"Argument":    {[]string{"site.yaml"}, []string{"site.yaml"}},
		"Address":     {[]string{"--listen", "nowhere"}, []string{"nowhere"}},
		"UnknownFlag": {[]string{"--colour"}, []string{"colour"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), c.args, os.Getenv, io.Discard, io.Discard)
			for _, word := range c.want {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("got %v, want %q in it", err, word)
				}
			}
		})
	}
}

func TestCertificateIsForTheHost(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)
	for _, host := range []string{"127.0.0.1", "localhost", "prism.example.com", "192.0.2.7"} {
		made, pem, err := certificate(host, now)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		leaf, err := x509.ParseCertificate(made.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		var unknown x509.HostnameError
		_, err = leaf.Verify(x509.VerifyOptions{DNSName: "other.example.com", Roots: pool, CurrentTime: now})
		if !errors.As(err, &unknown) {
			t.Errorf("another host: %v", err)
		}
	}
}
