package simulator

import "sync"

// hookQueue runs functions one after another, without ever blocking the caller.
type hookQueue struct {
	mu      sync.Mutex
	wake    *sync.Cond
	waiting []func()
	closed  bool
	done    chan struct{}
}

func newHookQueue() *hookQueue {
	q := &hookQueue{done: make(chan struct{})}
	q.wake = sync.NewCond(&q.mu)
	go q.run()
	return q
}

func (q *hookQueue) add(hook func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, hook)
	q.wake.Signal()
}

func (q *hookQueue) run() {
	defer close(q.done)
	for {
		hook, ok := q.next()
		if !ok {
			return
		}
		hook()
	}
}

func (q *hookQueue) next() (func(), bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.wake.Wait()
	}
	if len(q.waiting) == 0 {
		return nil, false
	}
	hook := q.waiting[0]
	q.waiting = q.waiting[1:]
	return hook, true
}

// close returns when all hooks have run.
func (q *hookQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.wake.Signal()
	q.mu.Unlock()
	<-q.done
}
