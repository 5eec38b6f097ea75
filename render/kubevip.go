package render

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// The scripts below decide on the machine, as CAPX's own template has them do, so that a cluster made from that template
// is adopted without a roll.

const exportKubeconfig = "echo export KUBECONFIG=/etc/kubernetes/admin.conf >> /root/.bashrc"

// hostsCommands write /etc/hosts of a control-plane machine.
var hostsCommands = []string{
	`echo "::1         ipv6-localhost ipv6-loopback" >/etc/hosts`,
	`echo "127.0.0.1   localhost" >>/etc/hosts`,
	`echo "127.0.0.1   kubernetes" >>/etc/hosts`,
	`echo "127.0.0.1   {{ ds.meta_data.hostname }}" >> /etc/hosts`,
}

// kubeVipBeforeInit gives kube-vip the super-admin kubeconfig on the machine that runs kubeadm init: from Kubernetes 1.29
// on, admin.conf has no rights before init is through.
func kubeVipBeforeInit(version string) string {
	return kubeVipKubeconfig(version, "admin.conf", "super-admin.conf")
}

// kubeVipAfterInit takes the super-admin kubeconfig away again.
func kubeVipAfterInit(version string) string {
	return kubeVipKubeconfig(version, "super-admin.conf", "admin.conf")
}

func kubeVipKubeconfig(version, from, to string) string {
	//nolint:dupword // each fi ends an if
	return fmt.Sprintf(`KUBERNETES_VERSION_NO_V=%s
VERSION_TO_COMPARE=1.29.0
if [ "$(printf '%%s\n' "$KUBERNETES_VERSION_NO_V" "$VERSION_TO_COMPARE" | sort -V | head -n1)" != "$KUBERNETES_VERSION_NO_V" ]; then
  if [ -f /run/kubeadm/kubeadm.yaml ]; then
    sed -i 's#path: /etc/kubernetes/%s#path: /etc/kubernetes/%s#' /etc/kubernetes/manifests/kube-vip.yaml;
  fi
fi
`, strings.TrimPrefix(version, "v"), from, to)
}

// cloudProviderFlag gives kube-apiserver the flag that it no longer has from Kubernetes 1.33 on.
func cloudProviderFlag(version string) string {
	//nolint:dupword // each fi ends an if
	return fmt.Sprintf(`KUBERNETES_VERSION_NO_V=%s
VERSION_TO_COMPARE=1.33.0
# Add cloud-provider flag only for Kubernetes versions < 1.33.0
if [ "$(printf '%%s\n' "$KUBERNETES_VERSION_NO_V" "$VERSION_TO_COMPARE" | sort -V | head -n1)" = "$KUBERNETES_VERSION_NO_V" ] && [ "$KUBERNETES_VERSION_NO_V" != "$VERSION_TO_COMPARE" ]; then
  if [ -f /run/kubeadm/kubeadm.yaml ]; then
    # Insert cloud-provider in the proper list format used by the kubeadm.yaml file
    sed -i '/apiServer:/,/extraArgs:/s/extraArgs:/extraArgs:\n  - name: cloud-provider\n    value: external/' /run/kubeadm/kubeadm.yaml
    # Add logging for debugging
    echo "Added cloud-provider: external to apiServer configuration in list format" > /var/log/cloud-provider-config.log
  fi
fi
`, strings.TrimPrefix(version, "v"))
}

// kubeVipFile is the static pod that announces the endpoint by ARP. Its form is read by the sed commands above.
func kubeVipFile(k v1alpha1.KubeVip, endpoint v1alpha1.Endpoint) tree {
	prefix := "32"
	if ip, err := netip.ParseAddr(endpoint.Host); err == nil && ip.Is6() {
		prefix = "128"
	}
	q := strconv.Quote
	env := [][2]string{{"vip_arp", q("true")}}
	if k.Interface != "" {
		env = append(env, [2]string{"vip_interface", q(k.Interface)})
	}
	env = append(env, [][2]string{
		{"address", q(endpoint.Host)},
		{"port", q(strconv.Itoa(int(cmp.Or(endpoint.Port, defaultEndpointPort))))},
		{"vip_subnet", q(prefix)},
		{"cp_enable", q("true")},
		{"cp_namespace", "kube-system"},
		{"vip_ddns", q("false")},
		{"vip_leaderelection", q("true")},
		{"vip_leaseduration", q("15")},
		{"vip_renewdeadline", q("10")},
		{"vip_retryperiod", q("2")},
		{"svc_enable", q(strconv.FormatBool(k.Services))},
		{"lb_enable", q("false")},
		{"enableServicesElection", q("false")},
	}...)
	var vars strings.Builder
	for _, e := range env {
		fmt.Fprintf(&vars, "        - name: %s\n          value: %s\n", e[0], e[1])
	}
	image := k.Image
	if !plainImage.MatchString(image) {
		image = q(image)
	}
	return tree{
		"path":    "/etc/kubernetes/manifests/kube-vip.yaml",
		"owner":   "root:root",
		"content": fmt.Sprintf(kubeVipPod, image, vars.String()),
	}
}

// plainImage is an image name that needs no quotes in YAML. CAPX's template has none, and a machine rolls for a byte.
var plainImage = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/@:-]*[A-Za-z0-9]$`)

// defaultEndpointPort is the default of Endpoint.Port.
const defaultEndpointPort int32 = 6443

const kubeVipPod = `apiVersion: v1
kind: Pod
metadata:
  name: kube-vip
  namespace: kube-system
spec:
  containers:
    - name: kube-vip
      image: %s
      imagePullPolicy: IfNotPresent
      args:
        - manager
      env:
%s      securityContext:
        capabilities:
          add:
            - NET_ADMIN
            - SYS_TIME
            - NET_RAW
      volumeMounts:
        - mountPath: /etc/kubernetes/admin.conf
          name: kubeconfig
      resources: {}
  hostNetwork: true
  volumes:
    - name: kubeconfig
      hostPath:
        type: FileOrCreate
        path: /etc/kubernetes/admin.conf
status: {}
`
