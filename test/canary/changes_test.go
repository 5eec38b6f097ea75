package canary

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// bearer is the Secret that a layer with a Secret in it is delivered by.
const bearer = "canary-1-tokens"

func (x *scene) patch(patch any) string {
	x.T.Helper()
	text, err := json.Marshal(patch)
	if err != nil {
		x.T.Fatal(err)
	}
	return string(text)
}

// drift has another hand write secrets over the Secret of a layer, which is put back, and over the files of a control
// plane.
func (x *scene) drift() {
	x.T.Helper()
	var key string
	for key = range x.data() {
		break
	}
	before := x.data()[key]
	x.Edit("mallory", "v1", "Secret", bearer, x.patch(map[string]any{"stringData": map[string]string{key: declared["token put over the layer's"]}}))
	x.Within(hand.Soon, "the layer is put back", func() error {
		if now := x.data()[key]; now != before {
			return fmt.Errorf("%s is something else", key)
		}
		return nil
	})
	x.Said("canary-1", "DriftCorrected", bearer, "mallory")
	kcp := x.Now(hand.ControlPlane, "KubeadmControlPlane", "canary-1-kcp")
	path := ""
	for i := 0; kcp.At(fmt.Sprintf("spec/kubeadmConfigSpec/files/%d", i)) != ""; i++ {
		if strings.Contains(kcp.At(fmt.Sprintf("spec/kubeadmConfigSpec/files/%d/path", i)), "/etc/token") {
			path = fmt.Sprintf("/spec/kubeadmConfigSpec/files/%d/content", i)
		}
	}
	x.Kubectl("patch", "kubeadmcontrolplane", "canary-1-kcp", "--type=json", "-p",
		x.patch([]any{map[string]any{"op": "replace", "path": path, "value": declared["file put over the machine's"]}}))
	x.Until("the file is put back", hand.ControlPlane, "KubeadmControlPlane", "canary-1-kcp", func(o hand.Live) error {
		return o.Is(strings.TrimPrefix(path, "/"), x.patch(declared["file of a machine"]))
	})
	x.InSync("canary-1")
}

// data of the Secret that delivers the layer.
func (x *scene) data() map[string]string {
	x.T.Helper()
	all := map[string]string{}
	data, ok := x.Now("v1", "Secret", bearer).Object["data"].(map[string]any)
	if !ok || len(data) == 0 {
		x.T.Fatalf("Secret %s holds nothing", bearer)
	}
	for key, value := range data {
		all[key] = fmt.Sprint(value)
	}
	return all
}

// refused has the API server and a webhook refuse objects that hold secrets.
func (x *scene) refused() {
	x.T.Helper()
	x.Push("a file that is given twice", map[string]string{"fleet/canary-1.yaml": x.cluster("1.0.0", declared["file that a webhook refuses"], "token")})
	x.T.Log(x.tells(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, ""))
	x.Edit("mallory", "v1", "Secret", bearer, `{"immutable":true}`)
	x.Push("another token", map[string]string{"fleet/canary-1.yaml": x.cluster("1.0.1", declared["file of a machine"], "")})
	x.Within(hand.Soon, "the Secret is refused", func() error {
		c := x.Cluster("canary-1")
		for _, have := range c.Status.Conditions {
			if have.Status == metav1.ConditionFalse && strings.Contains(have.Message, "immutable") {
				x.T.Log(have.Message)
				return nil
			}
		}
		return fmt.Errorf("%+v", c.Status.Conditions)
	})
}

// held has a plan wait that changes secrets and removes a pool.
func (x *scene) held() {
	x.T.Helper()
	x.Push("as before", map[string]string{"fleet/canary-1.yaml": x.cluster("1.0.0", declared["file of a machine"], "")})
	x.Kubectl("delete", "secret", bearer) // made again, not immutable
	x.Within(hand.Soon, "the Secret is made again", func() error {
		if x.Object("v1", "Secret", bearer) == nil {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	x.ClusterHas("canary-1", v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, "", hand.Soon)
	x.edge.Pools = nil
	x.Push("a pool less and other secrets", map[string]string{"fleet/canary-1.yaml": x.cluster("1.0.1", declared["changed file of a machine"], "")})
	x.T.Log(x.tells(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.LimitExceededReason))
	x.T.Log(x.Cluster("canary-1").Status.Plan)
}
