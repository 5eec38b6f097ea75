package bench

import "github.com/refract-dev/refract/test/rig"

// sharedFiles are the account, of a Prism Central, and the profile of every fleet here, below fleet/.
func sharedFiles(central string) map[string]string {
	return map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", central),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
	}
}

// clusterFile is one cluster with a control plane and a pool; patches are indented by four.
func clusterFile(name, host, patches string) string {
	c := rig.Cluster{Name: name, Endpoint: host, ControlPlanes: 1, Workers: 1, DeletionPolicy: "Delete"}
	if patches != "" {
		c.Extra = "  patches:" + patches
	}
	return c.File()
}
