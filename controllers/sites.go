package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
)

// sites keeps a door open to the Prism Central of each account, and reads it in the background: one that hangs holds up
// nobody else, neither other accounts nor what comes from Git.
type sites struct {
	options  prism.Options
	interval time.Duration
	// observe gives who counts the requests of an account.
	observe func(account client.ObjectKey) func(route string, status int, took time.Duration)
	// found is told of an account of which something new is known.
	found func(account client.ObjectKey)
	now   func() time.Time
	// secrets of all users of each Prism Central, now and before.
	secrets prism.SecretsByAddress

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // that of the manager, which starts what runs in the background
	keepers map[client.ObjectKey]*keeper
}

// keeper is what is known of one account's Prism Central, and who reads it.
type keeper struct {
	cancel context.CancelFunc
	wake   chan struct{}

	mu     sync.Mutex
	wanted access
	token  string // of wanted
	seen   sight
	orders []order
	again  bool // the inventory is to be read now
}

// access is how to enter a Prism Central.
type access struct {
	prism.Endpoint
	// workload is the user for what runs inside workload clusters, who is proved too; nil when it is the same one.
	workload *login
}

// sight is what is known of one Prism Central. It is a value that nobody writes to.
type sight struct {
	// proved is the token of the endpoint and credentials that were proved last.
	proved string
	// provedAt is when, and rotated says that others had been proved before in the life of this process.
	provedAt time.Time
	rotated  bool
	// version that it tells.
	version string
	// tried is the token of what was tried last, and err why that failed.
	tried string
	err   error
	// lost is why what was proved does not let us in any more; nil while it does.
	lost error
	// inventory that was read last; nil when none was.
	inventory *site.Inventory
	// gone says of ExtIDs that were looked at one by one since then whether they are gone.
	gone map[string]bool
}

// order is work for a door, done between two readings.
type order func(ctx context.Context, door *prism.Door)

// firstRetry is how soon a Prism Central that did not answer is asked again; the pause doubles up to the interval.
const firstRetry = 5 * time.Second

// Start holds the context that everything in the background ends with.
func (s *sites) Start(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	for key, k := range s.keepers {
		s.run(key, k)
	}
	s.mu.Unlock()
	<-ctx.Done()
	return nil
}

// NeedLeaderElection: only who acts looks.
func (s *sites) NeedLeaderElection() bool { return true }

// want tells which endpoint and credentials an account has now, and returns what is known of it.
func (s *sites) want(account client.ObjectKey, e access, token string) sight {
	k := s.keeper(account)
	k.mu.Lock()
	news := k.token != token
	k.wanted, k.token = e, token
	known := k.seen
	k.mu.Unlock()
	if news {
		k.poke()
	}
	return known
}

// of is what is known of an account; the zero value when nothing is.
func (s *sites) of(account client.ObjectKey) sight {
	s.mu.Lock()
	k := s.keepers[account]
	s.mu.Unlock()
	if k == nil {
		return sight{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}

// order has work done at an account's door, soon.
func (s *sites) order(account client.ObjectKey, work order) {
	k := s.keeper(account)
	k.mu.Lock()
	k.orders = append(k.orders, work)
	k.mu.Unlock()
	k.poke()
}

// refresh has the inventory read now, unless it is younger than d.
func (s *sites) refresh(account client.ObjectKey, d time.Duration) {
	k := s.keeper(account)
	k.mu.Lock()
	old := k.seen.inventory == nil || s.now().Sub(k.seen.inventory.At) >= d
	k.again = k.again || old
	k.mu.Unlock()
	if old {
		k.poke()
	}
}

// check looks at machines one by one that an inventory is not to be believed about. What cannot be asked now is asked at
// the next inventory.
func (s *sites) check(account client.ObjectKey, inventory *site.Inventory, ids []string) {
	s.order(account, func(ctx context.Context, door *prism.Door) {
		gone := map[string]bool{}
		for _, id := range ids {
			if _, found, err := door.VM(ctx, id); err == nil {
				gone[id] = !found
			}
		}
		k := s.keeper(account)
		k.mu.Lock()
		current := k.seen.inventory == inventory && len(gone) > 0
		if current {
			k.seen.gone = gone
		}
		k.mu.Unlock()
		if current {
			s.found(account)
		}
	})
}

// forget closes the door of an account that is gone.
func (s *sites) forget(account client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keepers[account]; k != nil && k.cancel != nil {
		k.cancel()
	}
	delete(s.keepers, account)
}

func (s *sites) keeper(account client.ObjectKey) *keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keepers == nil {
		s.keepers = map[client.ObjectKey]*keeper{}
	}
	k := s.keepers[account]
	if k == nil {
		k = &keeper{wake: make(chan struct{}, 1)}
		s.keepers[account] = k
		if s.ctx != nil {
			s.run(account, k)
		}
	}
	return k
}

// run starts the reading of one account; sites is locked.
func (s *sites) run(account client.ObjectKey, k *keeper) {
	ctx, cancel := context.WithCancel(s.ctx)
	k.cancel = cancel
	go s.keep(ctx, account, k)
}

// keep proves, reads and does what was ordered, one after another, until ctx ends.
func (s *sites) keep(ctx context.Context, account client.ObjectKey, k *keeper) {
	v := &visit{sites: s, keeper: k, account: account}
	defer v.close()
	pause := firstRetry
	for ctx.Err() == nil {
		begun := s.now()
		next := min(pause, s.interval)
		if v.look(ctx) {
			pause = firstRetry
			next = s.interval - s.now().Sub(begun)
		} else {
			pause *= 2
		}
		v.attend(ctx, next)
	}
}

// visit is a keeper at work: what only its own goroutine knows.
type visit struct {
	sites   *sites
	keeper  *keeper
	account client.ObjectKey
	door    *prism.Door
	token   string // that the door was opened with
	// refused says until when a password that was refused is not tried again, by token: users are locked for less.
	refused map[string]time.Time
}

// refusedPause is how many intervals pass before a refused password is tried again.
const refusedPause = 5

// refuse notes that a password was refused, if that is what an error says.
func (v *visit) refuse(token string, err error) {
	if e := new(prism.Error); !errors.As(err, &e) || e.Reason != prism.AuthenticationFailed {
		return
	}
	if v.refused == nil {
		v.refused = map[string]time.Time{}
	}
	v.refused[token] = v.sites.now().Add(refusedPause * v.sites.interval)
}

func (v *visit) mayTry(token string) bool { return !v.sites.now().Before(v.refused[token]) }

func (v *visit) close() {
	if v.door != nil {
		v.door.Close()
	}
}

// look proves what is wanted, if it is new or failed before, and reads the inventory. It says whether all is well.
func (v *visit) look(ctx context.Context) bool {
	proved := v.prove(ctx)
	if v.door == nil || !v.mayTry(v.token) {
		return proved && v.door == nil
	}
	inventory := v.door.Inventory(ctx)
	var lost error
	if !inventory.Knows(site.PartElements) {
		_, lost = v.door.Prove(ctx) // says why in a word
		v.refuse(v.token, lost)
	}
	if ctx.Err() != nil {
		return false
	}
	v.note(func(s *sight) { s.inventory, s.gone, s.lost = inventory, nil, lost })
	return proved && len(inventory.Missing()) == 0
}

// prove opens a door with new credentials and goes on with the old ones until the new ones are proved.
func (v *visit) prove(ctx context.Context) bool {
	v.keeper.mu.Lock()
	wanted, token := v.keeper.wanted, v.keeper.token
	v.keeper.mu.Unlock()
	if token == "" || token == v.token {
		return true
	}
	if !v.mayTry(token) {
		return false
	}
	door, version, err := v.enter(ctx, wanted)
	if ctx.Err() != nil {
		if err == nil {
			door.Close()
		}
		return false
	}
	if err != nil {
		v.refuse(token, err)
		v.note(func(s *sight) { s.tried, s.err = token, err })
		return false
	}
	v.close()
	v.door, v.token = door, token
	at := v.sites.now()
	v.note(func(s *sight) {
		*s = sight{proved: token, provedAt: at, rotated: s.proved != "", version: version, tried: token, inventory: s.inventory, gone: s.gone}
	})
	return true
}

// enter opens a door for an account's user once both users are proved. The lesser one may be allowed to read next to
// nothing: that Prism Central lets him in is enough.
func (v *visit) enter(ctx context.Context, e access) (*prism.Door, string, error) {
	if e.workload != nil {
		v.sites.secrets.Of(e.Endpoint).Password(e.workload.user, e.workload.password)
	}
	door, version, err := v.open(ctx, e.Endpoint)
	if err != nil || e.workload == nil {
		return door, version, err
	}
	lesser := e.Endpoint
	lesser.Username, lesser.Password = e.workload.user, e.workload.password
	other, _, err := v.open(ctx, lesser)
	if err == nil {
		other.Close()
		return door, version, nil
	}
	if refused := new(prism.Error); errors.As(err, &refused) && refused.Reason == prism.Forbidden {
		return door, version, nil
	}
	door.Close()
	return nil, "", fmt.Errorf("the user of spec.workloadCredentialsRef: %w", err)
}

func (v *visit) open(ctx context.Context, e prism.Endpoint) (*prism.Door, string, error) {
	options := v.sites.options
	options.Observe = v.sites.observe(v.account)
	options.Secrets = v.sites.secrets.Of(e)
	door, err := prism.Open(e, options)
	if err != nil {
		return nil, "", err
	}
	version, err := door.Prove(ctx)
	if err != nil {
		door.Close()
		return nil, "", err
	}
	return door, version, nil
}

// note changes what is known and tells of it.
func (v *visit) note(change func(*sight)) {
	v.keeper.mu.Lock()
	change(&v.keeper.seen)
	v.keeper.mu.Unlock()
	v.sites.found(v.account)
}

// attend waits for the next reading, and meanwhile does what is ordered. News of credentials end it.
func (v *visit) attend(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-v.keeper.wake:
			if v.serve(ctx) {
				return
			}
		}
	}
}

// serve does what is ordered and says whether there is reason to look now.
func (v *visit) serve(ctx context.Context) bool {
	v.keeper.mu.Lock()
	orders, again := v.keeper.orders, v.keeper.again
	news := v.keeper.token != v.token && v.keeper.token != v.keeper.seen.tried
	v.keeper.orders, v.keeper.again = nil, false
	v.keeper.mu.Unlock()
	if v.door == nil {
		return news || again
	}
	for _, work := range orders {
		work(ctx, v.door)
	}
	return news || again
}

func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default: // it is awake
	}
}
