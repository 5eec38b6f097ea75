package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
)

// TestPhaseWhileUnavailable holds Provisioning and Degraded to what the API says: not yet available for the first time,
// and no longer available.
func TestPhaseWhileUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		last     v1alpha1.Phase
		progress string
		want     v1alpha1.Phase
	}{
		"New":                  {"", "2 objects change", v1alpha1.PhaseProvisioning},
		"BetweenStepsOfBirth":  {v1alpha1.PhaseProvisioning, "", v1alpha1.PhaseProvisioning},
		"HeldDuringBirth":      {v1alpha1.PhaseHeld, "1 of 3 machines", v1alpha1.PhaseProvisioning},
		"WasRunning":           {v1alpha1.PhaseRunning, "", v1alpha1.PhaseDegraded},
		"WasRunningAndChanges": {v1alpha1.PhaseRunning, "1 of 3 machines", v1alpha1.PhaseDegraded},
		"StaysDegraded":        {v1alpha1.PhaseDegraded, "", v1alpha1.PhaseDegraded},
	} {
		t.Run(name, func(t *testing.T) {
			v := &view{cluster: &v1alpha1.NutanixClusterSpec{}, health: kube.Health{Found: true, Available: metav1.ConditionFalse}}
			v.cluster.Status.Phase = c.last
			if got := phase(v, nil, c.progress); got != c.want {
				t.Errorf("a cluster that was %q, progress %q: got %s, want %s", c.last, c.progress, got, c.want)
			}
		})
	}
}
