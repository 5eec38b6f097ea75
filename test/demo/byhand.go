package main

import (
	"net/url"
	"os"
)

// cloneURL is the repository with the credentials that its server asks for.
func (d *demo) cloneURL() string {
	u, err := url.Parse(d.git.URL())
	if err != nil {
		return d.git.URL()
	}
	u.User = url.UserPassword(d.git.Username, d.git.Password)
	return u.String()
}

// showSettings prints what a second terminal needs.
func (d *demo) showSettings() {
	d.show.command("export KUBECONFIG=" + d.kubeconfig())
	d.show.command("export PATH=" + d.bin() + string(os.PathListSeparator) + "$PATH")
	d.show.command("cd " + d.git.Clone())
	d.show.write("\n")
}

// byHand prints how to go on without us.
func (d *demo) byHand() {
	d.show.step(d.number+1, "Your turn")
	d.show.say("Everything stays up until Ctrl-C. In a second terminal:")
	d.showSettings()
	for _, command := range []string{
		"kubectl get nutanixclusterspecs -n clusters --watch",
		"kubectl get clusters,machines,nutanixmachines -n clusters",
		"kubectl get events -n clusters --watch",
		"refract plan fleet --fleet production -n clusters",
		"git clone " + d.cloneURL(),
	} {
		d.show.command(command)
	}
	d.show.write("\n")
	d.show.say(`Ideas: scale a pool in a file and push; copy profiles/standard-1.0.0.yaml to 1.0.1 with another default of
		ntpServer; give two clusters one endpoint; delete all of fleet/clusters. More in docs/demo.md.`)
	d.show.say("refract: %s/refract, logs: %s/*.log", d.bin(), d.world.Dir())
}
