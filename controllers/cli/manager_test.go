package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// TestManagerRuns starts the operator, sees that it works, and ends it as a signal does.
func TestManagerRuns(t *testing.T) {
	m := manage(t)
	f := &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "unreachable"},
		Spec: v1alpha1.FleetSpec{
			Git:      v1alpha1.GitSource{URL: "https://127.0.0.1:1/clusters.git", Ref: v1alpha1.GitRef{Branch: "main"}},
			Interval: metav1.Duration{Duration: time.Minute},
		},
	}
	create(t, m.admin, f)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var out, errs bytes.Buffer
	go func() {
		args := []string{"manager", "--kubeconfig", m.kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=0"}
		ended <- Main(ctx, args, strings.NewReader(""), &out, &errs)
	}()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := m.admin.Get(ctx, client.ObjectKeyFromObject(f), f)
		ready := meta.FindStatusCondition(f.Status.Conditions, v1alpha1.ReadyCondition)
		return ready != nil && ready.Reason == v1alpha1.RepositoryUnreachableReason, err
	})
	stop()
	code := <-ended
	if err != nil {
		t.Errorf("the Fleet's status is %+v (%v)", f.Status, err)
	}
	if code != 0 || out.Len() > 0 {
		t.Errorf("ended with code %d and output %q", code, out.String())
	}
	if t.Failed() {
		t.Logf("log:\n%s", errs.String())
	}
}
