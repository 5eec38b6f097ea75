package chart

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
	"webhook": values{
		"enabled": true, "port": 9393, "service": values{"type": "LoadBalancer", "annotations": values{"a": "b"}},
		"ingress": values{"enabled": true, "className": "nginx", "host": "refract.example.com", "tlsSecret": "refract-tls", "annotations": values{"a": "b"}},
	},
	"networkPolicy": values{
		"webhookFrom": []any{values{"ipBlock": values{"cidr": "192.0.2.0/24"}}},
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
		"Webhook": {"port, Service and Ingress lead to each other, and the policy lets in who may call", everything, func(t *testing.T, r rendered) {
			t.Helper()
			contains(t, r.container(t).Args, "--webhook-address=:9393")
			want(t, fmt.Sprint(r.ports(t)["webhook"]), "9393")
			service := decode[corev1.Service](t, r.find("Service", "refract-webhook"))
			want(t, service.Spec.Ports[0].TargetPort.String(), "webhook")
			path := decode[networkingv1.Ingress](t, r.find("Ingress", "refract-webhook")).Spec.Rules[0].HTTP.Paths[0]
			want(t, path.Path+" "+path.Backend.Service.Name+" "+path.Backend.Service.Port.Name, "/hooks/ refract-webhook "+service.Spec.Ports[0].Name)
			rules := decode[networkingv1.NetworkPolicy](t, r.find("NetworkPolicy", "refract-manager")).Spec.Ingress
			if len(rules) != 2 || rules[1].Ports[0].Port.String() != "webhook" || len(rules[1].From) != 1 || rules[1].From[0].IPBlock == nil {
				t.Errorf("the policy lets in %+v", rules)
			}
		}},
		"WebhookForEverybody": {"calls come from outside of the cluster, and an Ingress is a matter of its own", values{"webhook": values{"enabled": true}, "metrics": values{"enabled": false}}, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "Ingress")
			rules := decode[networkingv1.NetworkPolicy](t, r.find("NetworkPolicy", "refract-manager")).Spec.Ingress
			if len(rules) != 1 || rules[0].Ports[0].Port.String() != "webhook" || len(rules[0].From) != 0 {
				t.Errorf("the policy lets in %+v", rules)
			}
		}},
		"NoWebhook": {"nothing listens, and nothing is let in, unless asked for", nil, func(t *testing.T, r rendered) {
			t.Helper()
			r.none(t, "Ingress")
			if _, open := r.ports(t)["webhook"]; open || r.find("Service", "refract-webhook") != nil || strings.Contains(r.text, "--webhook-address") {
				t.Error("there is something of webhooks")
			}
			if rules := decode[networkingv1.NetworkPolicy](t, r.find("NetworkPolicy", "refract-manager")).Spec.Ingress; len(rules) != 1 {
				t.Errorf("the policy lets in %+v", rules)
			}
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
