package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/refract-dev/refract/controllers"
)

// Version of this build, set by the linker. Empty: what the Go tool stamped.
var Version string

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
management cluster  Kubernetes %s and newer
Cluster API         %s (cluster.x-k8s.io/v1beta2)
CAPX                %s (infrastructure.cluster.x-k8s.io/v1beta1)
`, version, commit, runtime.Version(), controllers.SupportedKubernetes, controllers.SupportedCAPI, controllers.SupportedCAPX)
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
