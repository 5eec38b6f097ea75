package flow

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

func living(namespace, name, host, owner string) v1alpha1.NutanixClusterSpec {
	c := v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{}}}
	c.Spec.AccountRef.Name = "pc"
	c.Spec.ControlPlane.Endpoint.Host = host
	if owner != "" {
		c.Annotations[v1alpha1.FleetAnnotation] = owner
	}
	return c
}

func account(namespace, address string) v1alpha1.CloudAccount {
	a := v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pc"}}
	a.Spec.Endpoint.Address = address
	return a
}

func TestTaken(t *testing.T) {
	newcomer := living("here", "edge-01", "10.0.0.1", "")
	declared := account("here", "east.example.com")
	for name, c := range map[string]struct {
		other v1alpha1.NutanixClusterSpec
		at    string // Prism Central of the other
		says  string
	}{
		"Free":                  {living("here", "edge-02", "10.0.0.2", "production"), "east.example.com", ""},
		"NameInAnotherFleet":    {living("here", "edge-01", "10.0.0.2", "staging"), "west.example.com", "Fleet staging already"},
		"NameOfOneWithoutFleet": {living("here", "edge-01", "10.0.0.2", ""), "west.example.com", "was not made by a Fleet"},
		"NameInPrismCentral":    {living("there", "edge-01", "10.0.0.2", "x"), "east.example.com", "names are identities"},
		"NameElsewhere":         {living("there", "edge-01", "10.0.0.1", "x"), "west.example.com", ""},
		"Endpoint":              {living("there", "edge-02", "10.0.0.1", "x"), "east.example.com", "in use by cluster there/edge-02"},
		"MissingAccount":        {living("here", "edge-02", "10.0.0.1", "production"), "", "in use by cluster here/edge-02"},
		"UnknownPrismCentral":   {living("there", "edge-02", "10.0.0.1", "x"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := Mirrored{Namespace: "here", Clusters: []v1alpha1.NutanixClusterSpec{c.other}}
			if c.at != "" {
				m.Accounts = []v1alpha1.CloudAccount{account(c.other.Namespace, c.at)}
			}
			err := m.Taken(fleet.Cluster{Object: &newcomer, Account: &fleet.Account{Object: &declared}})
			if (err == nil) != (c.says == "") || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("says %v, want %q", err, c.says)
			}
			m.public = true
			told := m.Taken(fleet.Cluster{Object: &newcomer, Account: &fleet.Account{Object: &declared}})
			want := strings.NewReplacer("namespace there", "another namespace", "cluster there/edge-02", "a cluster in another namespace").Replace(fmt.Sprint(err))
			if fmt.Sprint(told) != want {
				t.Errorf("tells everybody %v, want %s", told, want)
			}
		})
	}
}

func TestChangedProfile(t *testing.T) {
	profile := func(version, digest string) v1alpha1.ClusterProfile {
		p := v1alpha1.ClusterProfile{Spec: v1alpha1.ClusterProfileSpec{Profile: "standard", Version: version}}
		p.Status.ContentDigest = digest
		return p
	}
	for name, c := range map[string]struct {
		have    v1alpha1.ClusterProfile
		refused bool
	}{
		"SameContent":    {profile("1.0.0", "a"), false},
		"OtherContent":   {profile("1.0.0", "b"), true},
		"OtherVersion":   {profile("1.0.1", "b"), false},
		"NeverTakenOver": {profile("1.0.0", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile("1.0.0", "")
			err := Mirrored{Profiles: []v1alpha1.ClusterProfile{c.have}}.ChangedProfile(fleet.Cluster{Profiles: []*fleet.Profile{
				{Object: &p, ContentDigest: "a", Place: fleet.Place{Path: "p.yaml", Line: 3}},
			}})
			placed := new(build.Error)
			if (err != nil) != c.refused || (err != nil && (!errors.As(err, &placed) || placed.Path != "p.yaml" || placed.Line != 3)) {
				t.Errorf("refused: %v, want %t", err, c.refused)
			}
		})
	}
}

func TestRemoval(t *testing.T) {
	three := int32(3)
	c := living("here", "edge-01", "", "production")
	c.Spec.ControlPlane.Replicas = 3
	c.Spec.NodePools = []v1alpha1.NodePool{{Replicas: &three}}
	if p, keep := Removal(&c); keep == "" || !p.Empty() {
		t.Errorf("no policy: %v, %q", p, keep)
	}
	c.Spec.DeletionPolicy = v1alpha1.DeletionOrphan
	if p, keep := Removal(&c); keep != "" || p.Severity() != v1alpha1.SeverityMetadata {
		t.Errorf("Orphan: %v, %q", p, keep)
	}
	c.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	fixed, keep := Removal(&c)
	if keep != "" || !strings.HasSuffix(fixed.Changes[0].Reason, "with 6 machines") {
		t.Errorf("Delete: %+v, %q", fixed.Changes, keep)
	}
	c.Spec.NodePools = []v1alpha1.NodePool{{Autoscaling: &v1alpha1.Autoscaling{Min: 1, Max: 9}}}
	if p, _ := Removal(&c); !strings.HasSuffix(p.Changes[0].Reason, "with up to 12 machines") || p.Changes[0].Machines != 12 {
		t.Errorf("Delete with an autoscaled pool: %+v", p.Changes)
	}
	c.Status.Workers.Desired = 4
	before, _ := Removal(&c)
	c.Status.Workers.Desired = 5
	if after, _ := Removal(&c); after.Digest() != before.Digest() {
		t.Error("the digest goes stale when the pool grows")
	}
}
