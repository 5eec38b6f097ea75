package fleet_test

import (
	"strings"
	"testing"

	"github.com/refract-dev/refract/render/fleet"
)

func TestImmutable(t *testing.T) {
	decode := func(old, now string) fleet.Cluster {
		f, err := fleet.Decode(tree(strings.ReplaceAll(sample, old, now)), "./fleet", fleet.Options{Namespace: "clusters"})
		if err != nil {
			t.Fatal(err)
		}
		return f.Clusters[0]
	}
	base := decode("", "")
	cases := map[string]struct {
		reason   string
		old, new string
		want     string
	}{
		"Nothing":  {reason: "the same is no change"},
		"Memory":   {reason: "machines may change", old: "32Gi", new: "64Gi"},
		"Endpoint": {reason: "kubeconfigs hold it", old: "10.20.0.10", new: "10.20.0.12", want: "endpoint is immutable"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := message(fleet.Immutable(decode(c.old, c.new), base))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
			if c.want != "" && !strings.HasPrefix(got, "fleet/clusters/edge-01.yaml:") {
				t.Errorf("no place in %q", got)
			}
		})
	}
}
