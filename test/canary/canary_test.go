package canary

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
)

// odd are letters that each way of writing writes otherwise.
const odd = `/"ö<rd>&%2+\`

// Credentials belong into Secrets and nowhere else.
var credentials = map[string]string{
	"Git password":             "Canary-git-password" + odd,
	"wrong Git password":       "Canary-git-mistake" + odd,
	"Git token":                "Canary.git.token~1+/x=",
	"wrong Git token":          "Canary.git.token~2+/y=",
	"SSH passphrase":           "Canary-ssh-passphrase" + odd,
	"wrong SSH passphrase":     "Canary-ssh-mistake" + odd,
	"Prism Central password":   "Canary-prism-password" + odd,
	"wrong Prism password":     "Canary-prism-mistake" + odd,
	"session of Prism Central": "Canary.prism.session~1",
	"workload password":        "Canary-workload-password" + odd,
	"somebody else's":          "Canary-foreign-password" + odd,
	"rotated Prism password":   "Canary-prism-rotated" + odd,
	"password without a user":  "Canary-prism-half" + odd,
	// No header takes what is not ASCII.
	"forge token":               `Canary.forge"<token>&%2+\/=`,
	"token of the installation": `Canary.installation"<token>&%2+\/=`,
	"webhook token":             `Canary.webhook"<token>&%2+\/=`,
}

// declared are secrets that somebody wrote into files, or over live objects: they stand where they were declared, and
// are not told further.
var declared = map[string]string{
	"token in a layer":                  "Canary-layer-token" + odd,
	"changed token in a layer":          "Canary-layer-changed" + odd,
	"token put over the layer's":        "Canary-layer-by-hand" + odd,
	"file of a machine":                 "Canary-machine-file" + odd,
	"changed file of a machine":         "Canary-machine-changed" + odd,
	"file put over the machine's":       "Canary-machine-by-hand" + odd,
	"file that a webhook refuses":       "Canary-machine-refused" + odd,
	"file that a pull request proposes": "Canary-machine-proposed" + odd,
	"password of a machine's user":      "Canary-machine-user" + odd,
}

// TestSecretsAreSeenNowhere leads the operator through everything that could make it talk, and reads everything.
func TestSecretsAreSeenNowhere(t *testing.T) {
	s := hand.NewScene(t, &shared, "canary")
	x := &scene{Scene: s, git: newServer(t, s), prism: newCentral(t)}
	x.Cleanup()
	x.files(map[string]string{"fleet/canary-1.yaml": x.cluster("1.0.0", declared["file of a machine"], "")})
	x.overHTTPS()
	x.account()
	x.Within(hand.Soon, "applied", func() error {
		if x.Object(hand.Core, "MachineDeployment", "canary-1-workers") == nil {
			return fmt.Errorf("not yet: %+v", x.Cluster("canary-1"))
		}
		return nil
	})
	x.InSync("canary-1")
	x.reading()
	x.panics()
	x.overSSH()
	x.drift()
	x.refused()
	x.held()
	x.forge()

	places := look(t, s)
	for _, where := range slices.Sorted(maps.Keys(places)) {
		search(t, where, places[where])
	}
	plant(t, s)
}

// search fails for each secret that a place shows.
func search(t *testing.T, where string, p place) {
	t.Helper()
	if len(p.text) < 4 {
		t.Errorf("%s: nothing was read: %q", where, p.text)
	}
	for _, secrets := range []map[string]string{credentials, keys, declared} {
		for name, secret := range secrets {
			if _, hers := declared[name]; hers && p.declared {
				continue
			}
			for _, found := range find(p.text, secret) {
				t.Errorf("%s shows the %s %s", where, name, found)
			}
		}
	}
}

// planted is a secret that is put where none may be.
const planted = "Canary-planted" + odd

// plant proves that the search can fail: what is written on purpose is found by the same search, in every kind of place.
func plant(t *testing.T, s *hand.Scene) {
	t.Helper()
	coded := base64.StdEncoding.EncodeToString([]byte("user:" + planted))
	f := s.Fleet("production")
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{"example.com/note": planted}}})
	if err != nil {
		t.Fatal(err)
	}
	if err = s.Client.Patch(t.Context(), f, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	s.Create(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: s.Namespace, Name: "planted"},
		InvolvedObject: corev1.ObjectReference{Namespace: s.Namespace, Kind: "Fleet", Name: "production"},
		Reason:         "Planted", Message: "Authorization: Basic " + coded, Type: corev1.EventTypeNormal,
	})
	log, err := os.OpenFile(shared.Log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = fmt.Fprintf(log, "DEBUG\tplanted\t{\"secret\": %q}\n", planted); err != nil {
		t.Fatal(err)
	}
	if err = log.Close(); err != nil {
		t.Fatal(err)
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", Help: "Planted.", ConstLabels: prometheus.Labels{"secret": planted}})
	metrics.Registry.MustRegister(gauge)
	defer metrics.Registry.Unregister(gauge)
	places := look(t, s)
	for _, where := range []string{"status of each Fleet", "events", "the operator's log", "metrics"} {
		if len(find(places[where].text, planted)) == 0 {
			t.Errorf("%s: what was planted is not found", where)
		}
	}
}

// scene is the namespace of the proof.
type scene struct {
	*hand.Scene
	git   *server
	prism *central
	host  *host
	edge  rig.Cluster
}

// Cleanup takes the Fleets away with the test: their servers go with it.
func (x *scene) Cleanup() {
	x.T.Cleanup(func() {
		for _, name := range []string{"production", "over-ssh"} {
			_ = x.Client.Delete(x.T.Context(), &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: x.Namespace, Name: name}})
		}
	})
}

// keep writes a Secret as it is to be, whatever it was.
func (x *scene) keep(name string, data map[string]string) {
	x.T.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: x.Namespace, Name: name}, StringData: data}
	if err := x.Client.Delete(x.T.Context(), secret.DeepCopy()); client.IgnoreNotFound(err) != nil {
		x.T.Fatal(err)
	}
	x.Create(secret)
}

// fleetSays asks a Fleet to look, and waits until it is not ready for a reason, in certain words.
func (x *scene) fleetSays(name, reason string, words ...string) {
	x.T.Helper()
	x.Kubectl("annotate", "fleet", name, "--overwrite", "reconcile.fluxcd.io/requestedAt="+reason+strings.Join(words, ""))
	x.Within(hand.Soon, fmt.Sprintf("Fleet %s says %s %q", name, reason, words), func() error {
		f := x.Fleet(name)
		if err := rig.Has(f, v1alpha1.ReadyCondition, metav1.ConditionFalse, reason); err != nil {
			return err
		}
		for _, c := range f.Status.Conditions {
			for _, word := range words {
				if c.Type == v1alpha1.ReadyCondition && !strings.Contains(c.Message, word) {
					return fmt.Errorf("it says %s", c.Message)
				}
			}
		}
		return nil
	})
}

// tells waits for a condition of the cluster and gives its message.
func (x *scene) tells(condition string, status metav1.ConditionStatus, reason string) string {
	x.T.Helper()
	c := x.ClusterHas("canary-1", condition, status, reason, hand.Soon)
	for _, have := range c.Status.Conditions {
		if have.Type == condition {
			return have.Message
		}
	}
	return ""
}
