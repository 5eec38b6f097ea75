package cli

import (
	"fmt"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/refract-dev/refract/controllers"
)

// connection says which management cluster a command speaks to, as with kubectl.
type connection struct{ kubeconfig, context, namespace string }

func (f *connection) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig of the management cluster; default: $KUBECONFIG, ~/.kube/config, then the pod's own account")
	flags.StringVar(&f.context, "context", "", "context in the kubeconfig; default: its current one")
}

func (f *connection) bindNamespace(flags *pflag.FlagSet, usage string) {
	flags.StringVarP(&f.namespace, "namespace", "n", "", usage)
}

// open reads the kubeconfig. The second result is the namespace asked for, else that of the context.
func (f *connection) open() (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: f.context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("no management cluster to ask: %w; name one by --kubeconfig and --context", err)
	}
	if config.QPS == 0 {
		config.QPS = -1 // the API server's own fairness decides; client-go would allow 5 requests a second
	}
	if f.namespace != "" {
		return config, f.namespace, nil
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("namespace in the kubeconfig: %w; name one by --namespace", err)
	}
	return config, namespace, nil
}

// connect opens a client without a cache.
func connect(config *rest.Config) (client.Client, error) {
	ctrllog.SetLogger(logr.Discard()) // commands say themselves what is to be said
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("management cluster %s: %w", config.Host, err)
	}
	return c, nil
}
