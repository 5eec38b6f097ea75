package hand

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

// Quiet fails if one of the secrets stands where people read: in an event, in an object of ours, in a recorded plan or
// in the operator's log.
func Quiet(t *testing.T, p *rig.Package, secrets ...string) {
	t.Helper()
	said := map[string]string{}
	for name, list := range map[string]client.ObjectList{
		"events": &corev1.EventList{}, "Fleets": &v1alpha1.FleetList{}, "clusters": &v1alpha1.NutanixClusterSpecList{},
		"accounts": &v1alpha1.CloudAccountList{}, "profiles": &v1alpha1.ClusterProfileList{},
	} {
		if err := p.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		said[name] = string(text)
	}
	log, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	said["the operator's log"] = string(log)
	said["records"] = records(t, p)
	for where, text := range said {
		if len(text) < 100 {
			t.Errorf("%s: only %q: nothing was read", where, text)
		}
		for _, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s: a secret is shown: …%s…", where, text[max(0, i-200):min(len(text), i+50)])
			}
		}
	}
}

// records is everything in the Secrets that hold accepted and held plans.
func records(t *testing.T, p *rig.Package) string {
	t.Helper()
	list := &corev1.SecretList{}
	if err := p.Client.List(t.Context(), list, client.HasLabels{"refract.dev/record"}); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for i := range list.Items {
		for key, packed := range list.Items[i].Data {
			zip, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatalf("%s, key %s: %v", list.Items[i].Name, key, err)
			}
			text, err := io.ReadAll(zip)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}
