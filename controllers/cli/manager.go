package cli

import (
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	ctrlzap "sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/refract-dev/refract/controllers"
)

// off is what people write for an address that is not served.
const off = "0"

// logFlags say what is logged and how.
type logFlags struct{ level, encoding string }

func (p program) newManager() *cobra.Command {
	var (
		from connection
		log  logFlags
		o    controllers.Options
	)
	o.Version, _ = built()
	c := &cobra.Command{
		Use:   "manager",
		Short: "Run the operator",
		Long: `Runs the controllers until it is told to end. It needs the rights of ClusterRole refract-manager, and the CRDs of
Refract, Cluster API and CAPX.

Exit codes: 0 ended by a signal, 2 an error.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Log, err = log.open(c); err != nil {
				return err
			}
			if o.Concurrent < 1 {
				return fmt.Errorf("--concurrent is %d; use 1 or more", o.Concurrent)
			}
			if o.InventoryInterval < time.Second {
				return fmt.Errorf("--inventory-interval is %s; use 1s or more", o.InventoryInterval)
			}
			if o.HealthAddress == off {
				o.HealthAddress = ""
			}
			if o.WebhookAddress == off {
				o.WebhookAddress = ""
			}
			config, _, err := from.open()
			if err != nil {
				return err
			}
			return p.run(c.Context(), config, o)
		},
	}
	from.bind(c.Flags())
	flags := c.Flags()
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8080", "address of /metrics; 0 turns it off")
	flags.BoolVar(&o.MetricsSecure, "metrics-secure", false, "serve /metrics over TLS, and only to who may get it; needs the rights to create TokenReviews and SubjectAccessReviews")
	flags.StringVar(&o.MetricsCertDir, "metrics-cert-dir", "", "directory with tls.crt and tls.key for --metrics-secure; default: a certificate that nobody signed")
	flags.StringVar(&o.HealthAddress, "health-probe-bind-address", ":9440", "address of /healthz and /readyz; 0 turns it off")
	flags.StringVar(&o.WebhookAddress, "webhook-address", off, "address to take calls of Git servers on, at /hooks/NAMESPACE/FLEET, such as :9292; 0 takes none")
	flags.BoolVar(&o.LeaderElection, "leader-elect", false, "let only one of several managers work")
	flags.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", "", "namespace of the lease; default: the pod's own")
	flags.IntVar(&o.Concurrent, "concurrent", 4, "reconciles at once, for each controller")
	flags.BoolVar(&o.AllowFileURLs, "allow-file-urls", false, "let Fleets read repositories of this machine by file: URLs; for tests and demos")
	flags.BoolVar(&o.AllowInsecureGit, "allow-insecure-git", false, "let Fleets read repositories by http: URLs of the loopback network; for tests and demos")
	flags.DurationVar(&o.InventoryInterval, "inventory-interval", time.Minute, "how often each Prism Central is read, to compare its virtual machines")
	flags.DurationVar(&o.StuckAfter, "stuck-after", 15*time.Minute, "a rollout without progress for this long is said to be stuck")
	flags.StringVar(&log.level, "log-level", "info", "debug, info or error")
	flags.StringVar(&log.encoding, "log-encoding", "json", "json or console")
	return c
}

// open makes the logger, which writes to the error output.
func (f logFlags) open(c *cobra.Command) (logr.Logger, error) {
	if err := oneOf("log-encoding", f.encoding, "json", "console"); err != nil {
		return logr.Discard(), err
	}
	if err := oneOf("log-level", f.level, "debug", "info", "error"); err != nil {
		return logr.Discard(), err
	}
	level, err := zapcore.ParseLevel(f.level)
	if err != nil {
		return logr.Discard(), fmt.Errorf("--log-level: %w", err)
	}
	encoder := ctrlzap.JSONEncoder()
	if f.encoding == "console" {
		encoder = ctrlzap.ConsoleEncoder()
	}
	return ctrlzap.New(ctrlzap.WriteTo(c.ErrOrStderr()), ctrlzap.Level(level), encoder), nil
}
