package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/refract-dev/refract/test/chart/install"
)

type values = map[string]any

// everything sets each value that is empty by default.
var everything = values{
	"global":           values{"imageRegistry": "mirror.example.com", "imagePullSecrets": []any{"site", values{"name": "site-2"}}},
	"image":            values{"registry": "registry.example.com", "repository": "platform/refract", "digest": "sha256:" + strings.Repeat("0a", 32)},
	"imagePullSecrets": []any{"mine"},
	"serviceAccount":   values{"name": "operator", "annotations": values{"a": "b"}},
	"commonLabels":     values{"team": "platform"},
	"extraArgs":        []any{"--concurrent=8"},
	"extraEnv":         []any{values{"name": "TZ", "value": "UTC"}},
	"extraEnvFrom":     []any{values{"secretRef": values{"name": "more"}}},
	"extraVolumes":     []any{values{"name": "scratch", "emptyDir": values{}}},
	"extraVolumeMounts": []any{
		values{"name": "scratch", "mountPath": "/scratch"},
	},
	"proxy": values{"https": "http://proxy.example.com:3128", "http": "http://proxy.example.com:3128", "noProxy": []any{"10.0.0.0/8"}},
	"ca":    values{"bundle": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
	"metrics": values{
		"secure":  values{"enabled": true, "certificate": "metrics-tls"},
		"service": values{"annotations": values{"a": "b"}},
		"serviceMonitor": values{
			"enabled": true, "namespace": "monitoring", "labels": values{"release": "prometheus"}, "scrapeTimeout": "10s",
			"tlsConfig":   values{"serverName": "refract-metrics.refract-system.svc"},
			"relabelings": []any{values{"action": "labeldrop", "regex": "pod"}}, "metricRelabelings": []any{values{"action": "labeldrop", "regex": "pod"}},
		},
		"prometheusRule": values{"enabled": true, "namespace": "monitoring", "labels": values{"release": "prometheus"}},
		"dashboard":      values{"enabled": true, "namespace": "monitoring", "annotations": values{"grafana_folder": "Clusters"}},
	},
	"networkPolicy": values{
		"metricsFrom": []any{values{"namespaceSelector": values{"matchLabels": values{"kubernetes.io/metadata.name": "monitoring"}}}},
		"egress":      []any{values{"ports": []any{values{"port": 443}}}},
	},
	"podLabels": values{"tier": "control"}, "podAnnotations": values{"a": "b"}, "priorityClassName": "system-cluster-critical",
	"nodeSelector":              values{"kubernetes.io/os": "linux"},
	"tolerations":               []any{values{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}},
	"affinity":                  values{"nodeAffinity": values{}},
	"topologySpreadConstraints": []any{values{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}},
}

// TestTemplates renders variants and looks at what the values are for.
func TestTemplates(t *testing.T) {
	cases := map[string]struct {
		reason string
		values values
		check  func(t *testing.T, r rendered)
	}{
		"Image": {
			"registry, repository and tag make the image",
			values{"image": values{"registry": "registry.example.com", "repository": "platform/refract", "tag": "v1"}},
			has("registry.example.com/platform/refract:v1", image),
		},
		"ImageDefault":   {"the tag is the chart's appVersion", nil, has("refract:0.1.0", image)},
		"RegistryMirror": {"the global registry wins", values{"global": values{"imageRegistry": "mirror.example.com/"}, "image": values{"registry": "registry.example.com"}}, has("mirror.example.com/refract:0.1.0", image)},
		"Digest":         {"a digest wins over the tag", everything, has("mirror.example.com/platform/refract@sha256:"+strings.Repeat("0a", 32), image)},
		"PullSecrets":    {"global ones first, by name or object", everything, has("site,site-2,mine", pullSecrets)},
		"LastArgument":   {"extra arguments can override", everything, func(t *testing.T, r rendered) { t.Helper(); last(t, r.container(t).Args, "--concurrent=8") }},
		"ProxyOfTheEnvironment": {"Go's HTTP client reads these", everything, func(t *testing.T, r rendered) {
			t.Helper()
			r.env(t, "HTTPS_PROXY", "http://proxy.example.com:3128")
			r.env(t, "HTTP_PROXY", "http://proxy.example.com:3128")
			r.env(t, "NO_PROXY", "localhost,127.0.0.1,::1,.svc,.cluster.local,$(KUBERNETES_SERVICE_HOST),10.0.0.0/8")
		}},
		"NoProxy": {"no proxy, no exceptions", values{"proxy": values{"noProxy": []any{"a"}}}, func(t *testing.T, r rendered) { t.Helper(); r.env(t, "NO_PROXY", "") }},
		"Authorities": {"added to those of the image, and a change restarts the pods", everything, func(t *testing.T, r rendered) {
			t.Helper()
			r.env(t, "SSL_CERT_DIR", "/etc/ssl/certs:/etc/refract/ca")
			r.mounted(t, "/etc/refract/ca", func(s corev1.VolumeSource) bool { return s.ConfigMap != nil && s.ConfigMap.Name == "refract-ca" })
			if !strings.Contains(r.field(t, "ConfigMap", "refract-ca", "data", "ca.crt"), "BEGIN CERTIFICATE") {
				t.Error("the ConfigMap does not hold the bundle")
			}
			if r.deployment(t).Spec.Template.Annotations["checksum/ca"] == "" {
				t.Error("another bundle would not restart the pods")
			}
		}},
		"AuthoritiesInSecret": {"somebody else's Secret", values{"ca": values{"secret": "roots"}}, func(t *testing.T, r rendered) {
			t.Helper()
			r.mounted(t, "/etc/refract/ca", func(s corev1.VolumeSource) bool { return s.Secret != nil && s.Secret.SecretName == "roots" })
			r.none(t, "ConfigMap")
		}},
		"ExtraVolume": {"mounted where asked", everything, func(t *testing.T, r rendered) {
			t.Helper()
			r.mounted(t, "/scratch", func(s corev1.VolumeSource) bool { return s.EmptyDir != nil })
		}},
		"ExtraEnvironment": {"beside our own", everything, func(t *testing.T, r rendered) { t.Helper(); r.env(t, "TZ", "UTC") }},
		"OneReplica":       {"a budget would block every drain", values{"replicas": 1}, func(t *testing.T, r rendered) { t.Helper(); r.none(t, "PodDisruptionBudget") }},
		"NoCRDs":           {"somebody else installs them", values{"crds": values{"enabled": false}}, func(t *testing.T, r rendered) { t.Helper(); r.none(t, "CustomResourceDefinition") }},
		"NoPolicies": {"a planner without its policy could write", values{"policies": values{"enabled": false}}, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "ValidatingAdmissionPolicy")
			r.none(t, "ValidatingAdmissionPolicyBinding")
			if r.find("ClusterRole", "refract-planner") != nil || r.find("ClusterRole", "refract-viewer") == nil {
				t.Error("want all roles but the planner's")
			}
		}},
		"NotAggregated": {"Kubernetes' own roles stay as they are", values{"rbac": values{"aggregate": false}}, func(t *testing.T, r rendered) {
			t.Helper()
			for _, o := range r.objects {
				for label := range o.GetLabels() {
					if strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") {
						t.Errorf("%s %s has label %s", o.GetKind(), o.GetName(), label)
					}
				}
			}
		}},
		"NoRights": {"somebody else binds the account", values{"rbac": values{"create": false}}, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "ClusterRoleBinding")
			r.none(t, "RoleBinding")
			r.none(t, "Role")
		}},
		"Monitor": {"found by the labels of one's Prometheus", everything, func(t *testing.T, r rendered) {
			t.Helper()
			want(t, r.field(t, "ServiceMonitor", "refract-metrics", "metadata", "labels", "release"), "prometheus")
		}},
		"MonitorHonoursLabels": {"namespace and name are those of Fleets and clusters", everything, func(t *testing.T, r rendered) {
			t.Helper()
			endpoints, _, _ := unstructured.NestedSlice(r.find("ServiceMonitor", "refract-metrics").Object, "spec", "endpoints")
			if len(endpoints) != 1 || endpoints[0].(map[string]any)["honorLabels"] != true {
				t.Errorf("scraped as %v", endpoints)
			}
		}},
		"NothingForOthers": {"alerts and dashboards need what may not be there", nil, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "ServiceMonitor")
			r.none(t, "PrometheusRule")
			r.none(t, "ConfigMap")
		}},
		"Alerts": {"as they are in the file", everything, func(t *testing.T, r rendered) {
			t.Helper()
			groups, _, _ := unstructured.NestedSlice(r.find("PrometheusRule", "refract-alerts").Object, "spec", "groups")
			if len(groups) == 0 || !strings.Contains(fmt.Sprint(groups), "{{ $labels") {
				t.Errorf("the rules are %v", groups)
			}
		}},
		"Dashboard": {"found by Grafana's sidecar", everything, func(t *testing.T, r rendered) {
			t.Helper()
			want(t, r.field(t, "ConfigMap", "refract-dashboard", "metadata", "labels", "grafana_dashboard"), "1")
			if !json.Valid([]byte(r.field(t, "ConfigMap", "refract-dashboard", "data", "refract.json"))) {
				t.Error("the dashboard is no JSON")
			}
		}},
		"SecureMetrics": {"who scrapes is asked for, and a certificate of one's own shown", values{"metrics": values{"secure": values{"enabled": true, "certificate": "tls"}, "serviceMonitor": values{"enabled": true}}}, func(t *testing.T, r rendered) {
			t.Helper()
			contains(t, r.container(t).Args, "--metrics-secure")
			contains(t, r.container(t).Args, "--metrics-cert-dir=/etc/refract/metrics")
			r.mounted(t, "/etc/refract/metrics", func(s corev1.VolumeSource) bool { return s.Secret != nil && s.Secret.SecretName == "tls" })
			if r.find("ClusterRole", "refract-metrics-access") == nil || r.find("ClusterRoleBinding", "refract-metrics-access") == nil {
				t.Error("the operator may not ask who scrapes")
			}
			if !strings.Contains(r.text, "scheme: https") {
				t.Error("Prometheus would speak HTTP")
			}
		}},
		"OpenMetrics": {"rights that are not used are not given", nil, func(t *testing.T, r rendered) {
			t.Helper()
			if r.find("ClusterRole", "refract-metrics-access") != nil || slices.Contains(r.container(t).Args, "--metrics-secure") {
				t.Error("the operator may ask who scrapes, and does not")
			}
		}},
		"NoMetrics": {"nothing listens", values{"metrics": values{"enabled": false}}, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "Service")
			contains(t, r.container(t).Args, "--metrics-bind-address=0")
		}},
		"PlatformsUser": {"OpenShift chooses users itself", values{"runAsUser": nil}, func(t *testing.T, r rendered) {
			t.Helper()
			if r.deployment(t).Spec.Template.Spec.SecurityContext.RunAsUser != nil {
				t.Error("the pod names a user")
			}
		}},
		"LargeUser": {"a large number stays one", values{"runAsUser": 1000680000}, func(t *testing.T, r rendered) {
			t.Helper()
			if *r.deployment(t).Spec.Template.Spec.SecurityContext.RunAsUser != 1000680000 {
				t.Error("another user")
			}
		}},
		"AccountOfOthers": {"the bindings follow the account", values{"serviceAccount": values{"create": false, "name": "theirs"}}, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "ServiceAccount")
			want(t, r.deployment(t).Spec.Template.Spec.ServiceAccountName, "theirs")
			subjects, _, _ := unstructured.NestedSlice(r.find("ClusterRoleBinding", "refract-manager").Object, "subjects")
			if len(subjects) != 1 || subjects[0].(map[string]any)["name"] != "theirs" {
				t.Errorf("bound are %v", subjects)
			}
		}},
		"OtherNames": {"all cluster-scoped names follow the release", values{"fullnameOverride": "other"}, func(t *testing.T, r rendered) {
			t.Helper()
			for _, o := range r.objects {
				if o.GetKind() != "CustomResourceDefinition" && !strings.HasPrefix(o.GetName(), "other-") {
					t.Errorf("%s %s keeps its name", o.GetKind(), o.GetName())
				}
			}
			if text := r.text; !strings.Contains(text, "policyName: other-approval") || !strings.Contains(text, "(ClusterRole other-approver)") {
				t.Error("a policy speaks of other names than there are")
			}
		}},
	}
	ctx, dir := t.Context(), t.TempDir()
	texts := map[string]func() (string, error){} // cases of the same values share one
	for name, c := range cases {
		key := fmt.Sprint(c.values)
		if texts[key] == nil {
			texts[key] = sync.OnceValues(func() (string, error) { return install.Render(ctx, dir, "", c.values) })
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(c.reason)
			text, err := texts[key]()
			if err != nil {
				t.Fatal(err)
			}
			c.check(t, parse(t, text))
		})
	}
}

// rendered is what helm template yields.
type rendered struct {
	text    string
	objects []*unstructured.Unstructured
}

func parse(t *testing.T, text string) rendered {
	t.Helper()
	r := rendered{text: text}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			r.objects = append(r.objects, o)
		}
	}
}

func (r rendered) find(kind, name string) *unstructured.Unstructured {
	i := slices.IndexFunc(r.objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	if i < 0 {
		return nil
	}
	return r.objects[i]
}

func (r rendered) none(t *testing.T, kind string) {
	t.Helper()
	for _, o := range r.objects {
		if o.GetKind() == kind {
			t.Errorf("there is %s %s", kind, o.GetName())
		}
	}
}

func (r rendered) field(t *testing.T, kind, name string, path ...string) string {
	t.Helper()
	o := r.find(kind, name)
	if o == nil {
		t.Fatalf("there is no %s %s", kind, name)
	}
	text, _, err := unstructured.NestedString(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r rendered) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	o := r.find("Deployment", "refract-manager")
	if o == nil {
		t.Fatal("there is no Deployment refract-manager")
	}
	return decode[appsv1.Deployment](t, o)
}

func (r rendered) container(t *testing.T) corev1.Container {
	t.Helper()
	return r.deployment(t).Spec.Template.Spec.Containers[0]
}

func (r rendered) env(t *testing.T, name, value string) {
	t.Helper()
	env := r.container(t).Env
	i := slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == name })
	switch {
	case i < 0 && value != "":
		t.Errorf("%s is not set", name)
	case i >= 0:
		want(t, env[i].Value, value)
	}
}

// mounted finds the volume that is mounted at a path.
func (r rendered) mounted(t *testing.T, path string, is func(corev1.VolumeSource) bool) {
	t.Helper()
	for _, m := range r.container(t).VolumeMounts {
		for _, v := range r.deployment(t).Spec.Template.Spec.Volumes {
			if m.MountPath == path && v.Name == m.Name && is(v.VolumeSource) {
				return
			}
		}
	}
	t.Errorf("not what is wanted is mounted at %s: %+v of %+v", path, r.container(t).VolumeMounts, r.deployment(t).Spec.Template.Spec.Volumes)
}

func image(t *testing.T, r rendered) string { t.Helper(); return r.container(t).Image }

func pullSecrets(t *testing.T, r rendered) string {
	t.Helper()
	var names []string
	for _, s := range r.deployment(t).Spec.Template.Spec.ImagePullSecrets {
		names = append(names, s.Name)
	}
	return strings.Join(names, ",")
}

func has(value string, of func(*testing.T, rendered) string) func(*testing.T, rendered) {
	return func(t *testing.T, r rendered) { t.Helper(); want(t, of(t, r), value) }
}

func want(t *testing.T, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("got %q, want %q", got, wanted)
	}
}

func last(t *testing.T, list []string, wanted string) {
	t.Helper()
	if len(list) == 0 || list[len(list)-1] != wanted {
		t.Errorf("the last of %q is not %q", list, wanted)
	}
}

func contains(t *testing.T, list []string, wanted string) {
	t.Helper()
	if !slices.Contains(list, wanted) {
		t.Errorf("%q is not among %q", wanted, list)
	}
}
