package controllers

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clients gives the client that a Fleet's writes go through: Refract's own, or one that impersonates the Fleet's
// service account, so that a Fleet can do no more than that account may.
type clients struct {
	own    client.Client
	config *rest.Config
	scheme *runtime.Scheme
	mapper meta.RESTMapper

	mu   sync.Mutex
	held map[string]client.Client
}

// as returns the client for a service account of a namespace; an empty name is Refract itself.
func (c *clients) as(namespace, serviceAccount string) (client.Client, error) {
	if serviceAccount == "" {
		return c.own, nil
	}
	user := "system:serviceaccount:" + namespace + ":" + serviceAccount
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.held[user]; ok {
		return have, nil
	}
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	made, err := client.New(config, client.Options{Scheme: c.scheme, Mapper: c.mapper})
	if err != nil {
		return nil, fmt.Errorf("impersonating %s: %w", user, err)
	}
	if c.held == nil {
		c.held = map[string]client.Client{}
	}
	c.held[user] = made
	return made, nil
}
