package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

// Where everything of one world listens, within its own 127.A.B.0/24. Ports differ from the usual ones where we may
// choose, because a program bound to all addresses would keep us off them.
const (
	hostAPIServer    = 1
	hostCore         = 2
	hostBootstrap    = 3
	hostControlPlane = 4
	hostCAPX         = 5
	hostKCM          = 6
	hostPrism        = 7
	hostWorkload     = 8
	firstEndpoint    = 10
	lastEndpoint     = 254

	portLock      = 19999
	portEtcd      = 12379
	portEtcdPeer  = 12380
	portAPIServer = 16443
	portWebhook   = 9443 // fixed in CAPX
	portHealth    = 19440
	portDiagnosis = 19441
	portKCM       = 20257
	portPrism     = 9440
	portWorkload  = 19600
	portEndpoint  = 6443
)

// addresses is one /24 of the loopback network, held for this world alone.
type addresses struct {
	prefix string // 127.A.B
	lock   net.Listener

	mu   sync.Mutex
	next int
}

var errEndpointsUsedUp = errors.New("every endpoint address of this world has been handed out")

// takeAddresses holds the first free /24 from one that depends on the process, so that parallel packages seldom meet.
// A listener is the lock: the system frees it however the process ends.
func takeAddresses(ctx context.Context) (*addresses, error) {
	const first, count = 64, 186
	start := os.Getpid()
	for i := range count * 256 {
		n := (start + i) % (count * 256)
		prefix := fmt.Sprintf("127.%d.%d", first+n/256, n%256)
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(prefix+".1", strconv.Itoa(portLock)))
		if err == nil {
			return &addresses{prefix: prefix, lock: listener, next: firstEndpoint}, nil
		}
		if i == 1000 { // not other worlds: this system has no 127.0.0.0/8
			return nil, fmt.Errorf("no loopback network to listen on, the test world needs Linux: %w", err)
		}
	}
	return nil, errors.New("no free loopback network")
}

// host returns one address of the network.
func (a *addresses) host(n int) string { return a.prefix + "." + strconv.Itoa(n) }

// at returns host:port.
func (a *addresses) at(n, port int) string { return net.JoinHostPort(a.host(n), strconv.Itoa(port)) }

// endpoint returns the next address that nobody has asked for.
func (a *addresses) endpoint() (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next > lastEndpoint {
		return "", errEndpointsUsedUp
	}
	a.next++
	return a.host(a.next - 1), nil
}

// free checks that nothing else holds a port that cannot be changed.
func (a *addresses) free(ctx context.Context, n, port int) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.at(n, port))
	if err != nil {
		return fmt.Errorf("port %d cannot be changed and another program holds it on all addresses: %w", port, err)
	}
	return listener.Close()
}

func (a *addresses) release() { _ = a.lock.Close() }
