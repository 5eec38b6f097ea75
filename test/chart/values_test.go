package chart

import (
	"strings"
	"testing"

	"github.com/refract-dev/refract/test/chart/install"
)

func TestLint(t *testing.T) {
	for name, values := range map[string]map[string]any{"Defaults": nil, "Everything": everything} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := install.Lint(t.Context(), t.TempDir(), values)
			if err != nil || !strings.Contains(out, "1 chart(s) linted, 0 chart(s) failed") {
				t.Errorf("%s %v", out, err)
			}
		})
	}
}

// TestValuesRefused gives helm values that mean nothing, and looks for words that say where and what.
func TestValuesRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		values map[string]any
		want   []string
	}{
		"UnknownKey":          {"a typo must not be silent", values{"replica": 3}, []string{"additional properties 'replica' not allowed"}},
		"UnknownKeyBelow":     {"at any depth", values{"metrics": values{"serviceMonitor": values{"enable": true}}}, []string{"/metrics/serviceMonitor", "'enable' not allowed"}},
		"WrongType":           {"a number", values{"replicas": "two"}, []string{"/replicas", "got string, want integer"}},
		"BooleanAsText":       {"helm would take any text for true", values{"crds": values{"enabled": "false"}}, []string{"/crds/enabled", "got string, want boolean"}},
		"TextAsList":          {"a list", values{"extraArgs": "--log-level=debug"}, []string{"/extraArgs", "got string, want array"}},
		"OddLevel":            {"a level that the operator does not know", values{"log": values{"level": "verbose"}}, []string{"/log/level", "'debug', 'info', 'error'"}},
		"OddPullPolicy":       {"Kubernetes' words are exact", values{"image": values{"pullPolicy": "always"}}, []string{"/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"}},
		"PortTooLarge":        {"ports end at 65535", values{"metrics": values{"port": 80800}}, []string{"/metrics/port", "want 65,535"}},
		"NoReconciles":        {"an operator that does nothing", values{"concurrent": 0}, []string{"/concurrent", "want 1"}},
		"DurationWithoutUnit": {"seconds or minutes?", values{"stuckAfter": "15"}, []string{"/stuckAfter", "does not match pattern"}},
		"ArgumentWithoutName": {"the operator takes no positional arguments", values{"extraArgs": []string{"debug"}}, []string{"/extraArgs/0", "does not match pattern"}},
		"ShortDigest":         {"a digest is exact", values{"image": values{"digest": "sha256:0123"}}, []string{"/image/digest", "does not match pattern"}},
		"ProxyWithoutScheme":  {"Go would take the host for a scheme", values{"proxy": values{"https": "proxy:3128"}}, []string{"/proxy/https", "does not match pattern"}},
		"CANotPEM":            {"an authority that cannot be read vouches for nothing", values{"ca": values{"bundle": "MIIB…"}}, []string{"/ca/bundle", "does not match pattern"}},
		"ForeignSelector":     {"the Deployment would select no pod", values{"commonLabels": values{"app.kubernetes.io/name": "other"}}, []string{"commonLabels", "leave app.kubernetes.io/name out"}},
		"DotInName":           {"a Service's name has none", values{"fullnameOverride": "a.b"}, []string{"/fullnameOverride", "does not match pattern"}},
		"PrivilegedUser":      {"restricted pods are not root", values{"runAsUser": 0}, []string{"/runAsUser", "want 1"}},
		"TwoAuthorities":      {"which one?", values{"ca": values{"configMap": "a", "secret": "b"}}, []string{"ca.bundle, ca.configMap and ca.secret: give only one of them"}},
		"IngressToNothing":    {"nothing to lead to", values{"webhook": values{"ingress": values{"enabled": true, "host": "a.example.com"}}}, []string{"webhook.ingress.enabled needs webhook.enabled"}},
		"IngressWithoutHost":  {"it would take the calls of every host", values{"webhook": values{"enabled": true, "ingress": values{"enabled": true}}}, []string{"webhook.ingress.enabled needs webhook.ingress.host"}},
		"MonitorOfNothing":    {"nothing to scrape", values{"metrics": values{"enabled": false, "serviceMonitor": values{"enabled": true}}}, []string{"metrics.serviceMonitor.enabled needs metrics.enabled"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := install.Render(t.Context(), t.TempDir(), "", c.values)
			if err == nil {
				t.Fatalf("%s: accepted", c.reason)
			}
			for _, words := range c.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%s: want %q in: %v", c.reason, words, err)
				}
			}
		})
	}
}

// TestOldKubernetesIsRefused by Chart.yaml.
func TestOldKubernetesIsRefused(t *testing.T) {
	_, err := install.Render(t.Context(), t.TempDir(), "", nil, "--kube-version", "v1.32.9")
	if err == nil || !strings.Contains(err.Error(), "chart requires kubeVersion: >=1.33.0-0") {
		t.Errorf("%v", err)
	}
}
