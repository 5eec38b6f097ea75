package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/refract-dev/refract/test/rig"
)

// product is what chart and binary are made from.
var product = []string{"main.go", "go.mod", "go.sum", "api", "charts", "config", "controllers", "gitsource", "render"}

// before is the commit that an upgrade to this tree comes from, and why it is that one: the one before the last that
// changed chart or binary, so that the two differ also when only tests or documents were committed since.
// REFRACT_UPGRADE_FROM names another, such as a release's tag. Where no history is, the commit is empty.
func before(ctx context.Context) (commit, why string, err error) {
	if named := os.Getenv("REFRACT_UPGRADE_FROM"); named != "" {
		commit, err = git(ctx, "rev-parse", "--verify", named+"^{commit}")
		return commit, "REFRACT_UPGRADE_FROM", err
	}
	head, err := git(ctx, "rev-parse", "--verify", "HEAD^{commit}")
	if err != nil {
		return "", "no history is here", nil //nolint:nilerr // sources without a repository
	}
	changed, err := git(ctx, append([]string{"status", "--porcelain", "--"}, product...)...)
	if err != nil || changed != "" {
		return head, "HEAD, which this tree goes beyond", err
	}
	last, err := git(ctx, append([]string{"rev-list", "--max-count=1", "HEAD", "--"}, product...)...)
	if err != nil {
		return "", "", err
	}
	if commit, err = git(ctx, "rev-parse", "--verify", last+"^{commit}^"); err != nil {
		return "", "the history that is here begins with " + last + ", as in a shallow clone", nil //nolint:nilerr // no parent
	}
	return commit, "the commit before " + last, nil
}

// unpack writes the tree of a commit into a directory that is made.
func unpack(ctx context.Context, commit, dir string) error {
	archive := dir + ".tar"
	if _, err := git(ctx, "archive", "--format=tar", "--output="+archive, commit); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking %s: %w: %s", commit, err, out)
	}
	return nil
}

// git runs git in this tree.
func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = rig.Root()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// edit of one source file of this tree. The text that it replaces is there exactly once.
type edit struct{ file, old, changed string }

// Defaults that a next version may change.
var (
	// workersRoll drops a command that a worker runs before kubeadm: what it boots from is another, the control plane's not.
	workersRoll = edit{
		"render/kubeadm.go",
		"machineConfig([]string{notePreKubeadm, setHostname}, []string{notePostKubeadm})",
		"machineConfig([]string{setHostname}, []string{notePostKubeadm})",
	}
	// checksChange has health checks wait less, which touches no machine.
	checksChange = edit{"render/machines.go", "unhealthyTimeout int32 = 300", "unhealthyTimeout int32 = 240"}
)

// buildEdited builds this tree as if its files were edited.
func buildEdited(ctx context.Context, dir, name string, edits ...edit) (string, error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, e := range edits {
		file := filepath.Join(rig.Root(), filepath.FromSlash(e.file))
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return "", fmt.Errorf("%s holds %q %d times, want once: choose another default", e.file, e.old, n)
		}
		edited := filepath.Join(dir, name+"-"+filepath.Base(e.file))
		if err := os.WriteFile(edited, []byte(strings.Replace(string(text), e.old, e.changed, 1)), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[file] = edited
	}
	text, err := json.Marshal(overlay)
	file, path := filepath.Join(dir, name+".json"), filepath.Join(dir, name)
	if err = errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		return "", err
	}
	return path, build(ctx, rig.Root(), path, "-overlay="+file)
}

// build builds a program that nobody debugs, which spares much of the linking.
func build(ctx context.Context, root, path string, flags ...string) error {
	return rig.Build(ctx, root, path, append(flags, "-ldflags=-s -w")...)
}
