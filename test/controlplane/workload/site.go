package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	inmemory "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/runtime"
)

// vm is a machine that has booted.
type vm struct {
	ExtID    string `json:"extID"`
	Name     string `json:"name"`
	IP       string `json:"ip"`
	Image    string `json:"image"`
	UserData string `json:"userData"`
}

// site holds all workload clusters by their endpoint, and which VM is in which.
type site struct {
	manager inmemory.Manager

	mu       sync.Mutex
	machines map[string]*machine
	clusters map[string]*cluster
}

// machine is a VM from its boot to its end. Closing stop ends its attempts to join.
type machine struct {
	vm
	instructions
	cancel context.CancelFunc
	done   chan struct{}
	joined *cluster
}

func newSite(ctx context.Context) (*site, error) {
	s := &site{manager: inmemory.NewManager(scheme()), machines: map[string]*machine{}, clusters: map[string]*cluster{}}
	if err := s.manager.Start(ctx); err != nil {
		return nil, fmt.Errorf("starting the store: %w", err)
	}
	return s, nil
}

// boot runs a VM's cloud-init in the background, trying again as kubeadm does until the cluster lets it in. A VM that
// boots again while it is known changes nothing.
func (s *site) boot(ctx context.Context, v vm) {
	log := logr.FromContextOrDiscard(ctx).WithValues("vm", v.Name)
	in, err := parseCloudInit(v.UserData)
	if err != nil {
		log.Error(err, "the VM will not become a node")
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &machine{vm: v, instructions: in, cancel: cancel, done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.machines[v.ExtID]; known {
		cancel()
		return
	}
	s.machines[v.ExtID] = m
	go func() {
		defer close(m.done)
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		said := ""
		for {
			joined, err := s.kubeadm(ctx, m)
			if err == nil {
				m.joined = joined
				log.Info("the node is up", "endpoint", m.endpoint, "controlPlane", m.controlPlane, "init", m.initialize)
				return
			}
			if err.Error() != said {
				said = err.Error()
				log.Info("not yet", "because", said)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// kubeadm does what kubeadm init or join would have left behind, once.
func (s *site) kubeadm(ctx context.Context, m *machine) (*cluster, error) {
	c, err := s.cluster(ctx, m)
	if err != nil {
		return nil, err
	}
	if err := c.addNode(ctx, m); err != nil {
		return nil, err
	}
	return c, nil
}

// cluster finds the cluster of a machine; init makes it.
func (s *site) cluster(ctx context.Context, m *machine) (*cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.clusters[m.endpoint]; ok {
		return c, nil
	}
	if !m.initialize {
		return nil, fmt.Errorf("no API server answers at %s", m.endpoint)
	}
	c, err := newCluster(ctx, s.manager, m)
	if err != nil {
		return nil, err
	}
	s.clusters[m.endpoint] = c
	return c, nil
}

// remove ends a VM: its node and static pods are gone, and with the last control plane the whole cluster.
func (s *site) remove(ctx context.Context, extID string) {
	s.mu.Lock()
	m, known := s.machines[extID]
	delete(s.machines, extID)
	s.mu.Unlock()
	if !known {
		return
	}
	m.cancel()
	<-m.done
	if m.joined == nil {
		return
	}
	log := logr.FromContextOrDiscard(ctx).WithValues("vm", m.Name)
	left, err := m.joined.removeNode(ctx, m)
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Error(err, "removing the node")
	}
	if !m.controlPlane || left > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clusters, m.endpoint)
	m.joined.close()
	log.Info("the cluster is gone", "endpoint", m.endpoint)
}
