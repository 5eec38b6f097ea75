// Package canary proves that secrets are seen nowhere: every credential and every secret in Git is a word that stands
// nowhere else, the operator is led through success, refusals, drift and a panic, and then everything that people read
// is searched for those words in all the forms that they may take.
package canary

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var (
	shared rig.Package
	// libraries is what client-go logs beside the operator.
	libraries lines
	// spoken is the file of what is written to standard error, as the clients of Nutanix do by themselves.
	spoken string
	// trap is the operator's clock.
	trap clock
)

// lines keeps what is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// TestMain runs an operator that logs at level debug.
func TestMain(m *testing.M) {
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "10", "one_output": "true"} {
		_ = flags.Set(name, value)
	}
	klog.SetOutput(&libraries)
	var err error
	if hooksAt, err = free(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(listening(func() int {
		return rig.Run(m, &shared, world.Options{
			Managers: true, NoReconcile: true, AuditPolicy: true, Manifests: hand.Policies(),
		}, controllers.Options{Concurrent: 2, InventoryInterval: time.Second, Clock: &trap, WebhookAddress: hooksAt})
	}))
}

// listening keeps what is written to standard error while run runs, and shows it in the end.
func listening(run func() int) int {
	dir, err := os.MkdirTemp("", "refract-canary-")
	if err != nil {
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	spoken = filepath.Join(dir, "stderr")
	file, err := os.Create(spoken)
	if err != nil {
		return 1
	}
	usual := os.Stderr
	os.Stderr = file
	code := run()
	os.Stderr = usual
	_ = file.Close()
	if text, err := os.ReadFile(spoken); err == nil {
		_, _ = os.Stderr.Write(text)
	}
	return code
}
