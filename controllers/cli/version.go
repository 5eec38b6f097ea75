package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version of this build, set by the linker. Empty: what the Go tool stamped.
var Version string

// What this version works with; docs/cli.md and the README say the same.
const (
	supportedKubernetes = "1.33 and newer"
	supportedCAPI       = "1.13 to 1.14 (cluster.x-k8s.io/v1beta2)"
	supportedCAPX       = "1.9 to 1.10 (infrastructure.cluster.x-k8s.io/v1beta1)"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what it works with",
		Long:  `Prints version and commit, and the versions of the management cluster, Cluster API and CAPX that are supported.`,
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			version, commit := built()
			_, err := fmt.Fprintf(c.OutOrStdout(), `refract %s
commit              %s
go                  %s
management cluster  Kubernetes %s
Cluster API         %s
CAPX                %s
`, version, commit, runtime.Version(), supportedKubernetes, supportedCAPI, supportedCAPX)
			return err
		},
	}
}

// built says what this program was built from.
func built() (version, commit string) {
	version, commit = Version, "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(version, "unknown"), commit
	}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	return cmp.Or(version, info.Main.Version, "unknown"), commit + modified
}
