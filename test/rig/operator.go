package rig

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/world"
)

// ToPrism connects the operator to a world's Prism Central under every name below example.com, so that tests have as many
// Prism Centrals as they need, each with the same account.
func ToPrism(p world.Prism) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".example.com") && p.Host != "" {
			address = net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// Operator is Refract running in this process.
type Operator struct {
	config  *rest.Config
	options controllers.Options

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan error
}

// NewOperator makes an operator that acts as config says and serves metrics only when o says where; Start starts it.
func NewOperator(config *rest.Config, o controllers.Options) *Operator {
	o.HealthAddress = ""
	if o.MetricsAddress == "" {
		o.MetricsAddress = "0"
	}
	o.AllowInsecureGit, o.RelaxedNames = true, true
	own := rest.CopyConfig(config)
	own.UserAgent = "refract"
	return &Operator{config: own, options: o}
}

// Start starts the operator, or starts it again after Stop.
func (o *Operator) Start(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ctx, o.cancel = context.WithCancel(ctx)
	o.done = make(chan error, 1)
	done := o.done
	go func() { done <- controllers.Run(ctx, o.config, o.options) }()
}

// Stop stops the operator and waits for it; the error is why it ended.
func (o *Operator) Stop() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cancel == nil {
		return nil
	}
	o.cancel()
	o.cancel = nil
	return <-o.done
}
