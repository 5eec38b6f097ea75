package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestStarts runs the program with nothing around it but the image's own files: no environment, no right to write.
func TestStarts(t *testing.T) {
	made := built(t, options{source: sampleRepository(t), platforms: []string{"linux/" + runtime.GOARCH}})
	said := inside(t, rootOf(t, made.images[0].image), "version")
	if want := "refract " + sampleVersion; !strings.HasPrefix(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
}

// TestRefractItself builds the last commit of Refract twice, once with an empty build cache, and tries it.
func TestRefractItself(t *testing.T) {
	if !full() {
		t.Skip("builds Refract for two platforms, twice; set REFRACT_PROOF=full")
	}
	checkout := clone(t, git(t, ".", "rev-parse", "--show-toplevel"))
	revision := git(t, checkout, "rev-parse", "HEAD")
	made := built(t, options{source: checkout, platforms: both})
	same(t, made, built(t, options{source: clone(t, checkout), platforms: both, env: []string{"GOCACHE=" + t.TempDir()}}))
	for _, i := range made.images {
		checkBill(t, i.bill, unpack(t, i.image)["refract"].content)
		if i.platform.Architecture != runtime.GOARCH {
			continue
		}
		root := rootOf(t, i.image)
		if said := inside(t, root, "version"); !strings.Contains(said, revision+"\n") {
			t.Errorf("refract version does not name the commit %s:\n%s", revision, said)
		}
		write(t, filepath.Join(root, "fleet", "account.yaml"), `apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc-east}
spec:
  endpoint: {address: pc-east.example.com}
  credentialsRef: {name: pc-east-credentials}
`)
		t.Log(inside(t, root, "validate", "/fleet"))
	}
}

// inside runs the image's program with root as its file system and as the image's user. Without the right to do so, it
// is run where it lies.
func inside(t *testing.T, root string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/refract", args...)
	cmd.Env = []string{}
	if os.Getuid() == 0 {
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Chroot:     root,
			Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
		}
	} else {
		t.Log("not root: the program sees this machine's files")
		cmd.Path = filepath.Join(root, "refract")
		for i, a := range args {
			if filepath.IsAbs(a) {
				cmd.Args[i+1] = filepath.Join(root, a)
			}
		}
	}
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("refract %v: %v\n%s", args, err, said)
	}
	return string(said)
}
