package canary

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/refract-dev/refract/test/rig"
)

// accountFile is a CloudAccount with credentials for the management cluster and others for what runs inside.
func (x *scene) accountFile() string {
	host, port, _ := strings.Cut(x.prism.Listener.Addr().String(), ":")
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc-east}
spec:
  cloud: nutanix
  endpoint: {address: %s, port: %s}
  credentialsRef: {name: pc-east-credentials}
  workloadCredentialsRef: {name: pc-east-workload}
  trustBundleRef: {kind: Secret, name: pc-east-ca}
`, host, port)
}

// profile has a layer with a Secret in it; changed is what its second version holds.
func profile(version string) string {
	return rig.Profile(version, "v1.33.4") + fmt.Sprintf(`    - name: tokens
      type: AddOn
      manifests: {paths: [layers/tokens-%s.yaml]}
`, version)
}

func layer(token string) string {
	text, _ := json.Marshal(token) //nolint:errchkjson // a string
	return fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: token, namespace: default}
stringData: {token: %s}
`, text)
}

// files pushes the fleet with what else is to be.
func (x *scene) files(more map[string]string) string {
	x.T.Helper()
	all := map[string]string{
		"fleet/account.yaml":             x.accountFile(),
		"fleet/profile-1.0.0.yaml":       profile("1.0.0"),
		"fleet/profile-1.0.1.yaml":       profile("1.0.1"),
		"fleet/layers/tokens-1.0.0.yaml": layer(declared["token in a layer"]),
		"fleet/layers/tokens-1.0.1.yaml": layer(declared["changed token in a layer"]),
	}
	maps.Copy(all, more)
	return x.Push("a fleet with secrets", all)
}

// cluster is a cluster file whose machines get a file and a user with a password; more is added to that file's entry.
func (x *scene) cluster(version, content, more string) string {
	x.T.Helper()
	file := map[string]any{"path": "/etc/token", "content": content}
	if more != "" {
		file["contentFrom"] = map[string]any{"secret": map[string]any{"name": more, "key": "token"}}
	}
	patch, err := json.Marshal([]any{
		map[string]any{"op": "add", "path": "/spec/kubeadmConfigSpec/files/-", "value": file},
		map[string]any{"op": "add", "path": "/spec/kubeadmConfigSpec/users/-", "value": map[string]any{"name": "backup", "passwd": declared["password of a machine's user"]}},
	})
	if err != nil {
		x.T.Fatal(err)
	}
	c := x.edge
	if c.Name == "" {
		c = x.Small("canary-1")
		c.Pools = map[string]int{"spare": 1}
		x.edge = c
	}
	c.Profile = version
	c.Extra = "  patches:\n    - target: {kind: KubeadmControlPlane}\n      patch: |\n        " + string(patch) + "\n"
	return strings.ReplaceAll(c.File(), "AAAA ops", "AAAA canary")
}
