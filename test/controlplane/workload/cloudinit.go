package main

import (
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Where Cluster API's kubeadm bootstrap provider puts what kubeadm reads.
const (
	initFile = "/run/kubeadm/kubeadm.yaml"
	joinFile = "/run/kubeadm/kubeadm-join-config.yaml"
	pkiDir   = "/etc/kubernetes/pki/"
)

// instructions is what a VM's cloud-init would have made kubeadm do.
type instructions struct {
	// endpoint is the control-plane endpoint, host:port; it identifies the cluster.
	endpoint string
	// initialize is true for kubeadm init, false for join.
	initialize bool
	// controlPlane is true for init and for a control-plane join.
	controlPlane bool
	// clusterConfiguration is kubeadm's document, for init.
	clusterConfiguration string
	// kubernetesVersion is its version, for init.
	kubernetesVersion string
	// tokenID names the bootstrap token that a join presents.
	tokenID string
	// registration is how the kubelet registers its node.
	registration nodeRegistration
	// files are the certificates and keys by path, for control planes.
	files map[string]string
}

type nodeRegistration struct {
	Name   string `json:"name"`
	Taints []struct {
		Key    string `json:"key"`
		Value  string `json:"value"`
		Effect string `json:"effect"`
	} `json:"taints"`
	// KubeletExtraArgs is a map up to kubeadm's v1beta3 and a list of name and value from v1beta4.
	KubeletExtraArgs any `json:"kubeletExtraArgs"`
}

// kubeletArg returns one extra argument of the kubelet, or an empty string.
func (r nodeRegistration) kubeletArg(name string) string {
	switch args := r.KubeletExtraArgs.(type) {
	case map[string]any:
		value, _ := args[name].(string)
		return value
	case []any:
		for _, a := range args {
			if pair, ok := a.(map[string]any); ok && pair["name"] == name {
				value, _ := pair["value"].(string)
				return value
			}
		}
	}
	return ""
}

// parseCloudInit reads the user data of a VM.
func parseCloudInit(userData string) (instructions, error) {
	var cloudConfig struct {
		WriteFiles []struct {
			Path    string `json:"path"`
			Content string `json:"content"`
		} `json:"write_files"`
	}
	if !strings.HasPrefix(userData, "#cloud-config") && !strings.HasPrefix(userData, "## template: jinja") {
		return instructions{}, errors.New("user data is not a #cloud-config document")
	}
	if err := yaml.Unmarshal([]byte(userData), &cloudConfig); err != nil {
		return instructions{}, fmt.Errorf("reading user data: %w", err)
	}
	files := map[string]string{}
	for _, f := range cloudConfig.WriteFiles {
		files[f.Path] = f.Content
	}
	switch {
	case files[initFile] != "":
		return parseInit(files)
	case files[joinFile] != "":
		return parseJoin(files)
	}
	return instructions{}, fmt.Errorf("user data writes neither %s nor %s", initFile, joinFile)
}

func parseInit(files map[string]string) (instructions, error) {
	in := instructions{initialize: true, controlPlane: true, files: files}
	for document := range strings.SplitSeq("\n"+files[initFile], "\n---") {
		var d struct {
			Kind                 string           `json:"kind"`
			ControlPlaneEndpoint string           `json:"controlPlaneEndpoint"`
			KubernetesVersion    string           `json:"kubernetesVersion"`
			NodeRegistration     nodeRegistration `json:"nodeRegistration"`
		}
		if err := yaml.Unmarshal([]byte(document), &d); err != nil {
			return in, fmt.Errorf("reading %s: %w", initFile, err)
		}
		switch d.Kind {
		case "ClusterConfiguration":
			in.endpoint, in.kubernetesVersion = d.ControlPlaneEndpoint, d.KubernetesVersion
			in.clusterConfiguration = strings.TrimLeft(document, "\n")
		case "InitConfiguration":
			in.registration = d.NodeRegistration
		}
	}
	if in.endpoint == "" {
		return in, fmt.Errorf("%s has no ClusterConfiguration with a controlPlaneEndpoint", initFile)
	}
	return in, nil
}

func parseJoin(files map[string]string) (instructions, error) {
	var d struct {
		ControlPlane     map[string]any   `json:"controlPlane"`
		NodeRegistration nodeRegistration `json:"nodeRegistration"`
		Discovery        struct {
			BootstrapToken struct {
				APIServerEndpoint string `json:"apiServerEndpoint"`
				Token             string `json:"token"`
			} `json:"bootstrapToken"`
		} `json:"discovery"`
	}
	if err := yaml.Unmarshal([]byte(files[joinFile]), &d); err != nil {
		return instructions{}, fmt.Errorf("reading %s: %w", joinFile, err)
	}
	token := d.Discovery.BootstrapToken
	id, _, ok := strings.Cut(token.Token, ".")
	if !ok || token.APIServerEndpoint == "" {
		return instructions{}, fmt.Errorf("%s names no endpoint or no token", joinFile)
	}
	return instructions{
		endpoint: token.APIServerEndpoint, controlPlane: d.ControlPlane != nil, tokenID: id,
		registration: d.NodeRegistration, files: files,
	}, nil
}
