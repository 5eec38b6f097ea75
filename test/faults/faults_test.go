package faults

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// The requests that CAPX makes for a machine.
const (
	vms      = "/api/vmm/v4.2/ahv/config/vms"
	powerOn  = vms + "/{extId}/$actions/power-on"
	elements = "/api/clustermgmt/v4.2/config/clusters"
	subnets  = "/api/networking/v4.2/config/subnets"
)

// fault is one of a cluster and of no other.
type fault func(cluster string) simulator.Fault

// creating is a fault of the request that creates a machine, and of its task.
func creating(f simulator.Fault) fault { return about(http.MethodPost, vms, f) }

// seeking is a fault of the look for a VM of a machine's name.
func seeking(f simulator.Fault) fault { return about(http.MethodGet, vms, f) }

// starting is a fault of the request that switches a machine on, and of its task.
func starting(f simulator.Fault) fault { return about(http.MethodPost, powerOn, f) }

func about(method, path string, f simulator.Fault) fault {
	return func(cluster string) simulator.Fault {
		f.Method, f.Path, f.VM = method, path, cluster+"-*"
		return f
	}
}

// placing is a fault of the look-up of the Prism Element.
func placing(f simulator.Fault) fault { return lookup(elements, f) }

// connecting is a fault of the look-up of the subnet.
func connecting(f simulator.Fault) fault { return lookup(subnets, f) }

// lookup is a fault of what is asked for by name, as CAPX does it: Refract itself reads whole lists.
func lookup(path string, f simulator.Fault) fault {
	return func(cluster string) simulator.Fault {
		f.Method, f.Path, f.User = http.MethodGet, path, cluster
		f.Match = func(r *http.Request) bool { return strings.HasPrefix(r.URL.Query().Get("$filter"), "name eq ") }
		return f
	}
}

// anything is a fault of all that the cluster's account asks for, CAPX's requests and Refract's own.
func anything(f simulator.Fault) fault {
	return func(cluster string) simulator.Fault {
		f.User = cluster
		return f
	}
}

func failing(status int) simulator.Fault {
	return simulator.Fault{Effect: simulator.EffectError, Status: status}
}

func once(f simulator.Fault) simulator.Fault {
	f.Times = 1
	return f
}

func saying(message string, f simulator.Fault) simulator.Fault {
	f.Message = message
	return f
}

// ending says how a trial ends.
type ending int

const (
	// unseen: the client copes with it, and nobody is told.
	unseen ending = iota
	// byItself: it is told, and goes on once the fault is gone.
	byItself
	// byCommand: it is told, stays when the fault is gone, and ends with the command of the message.
	byCommand
	// byRestart: the same, and the command restarts CAPX.
	byRestart
)

// trial is what goes wrong while the control plane of a cluster is made.
type trial struct {
	// capx is what CAPX does about it, as observed.
	capx   string
	faults []fault
	// pause is how long CAPX may wait before it asks again. It begins once more when it does not see yet that it gave up.
	pause time.Duration
	// says are words of Ready, in which {cluster} stands for the name of the cluster.
	says []string
	ends ending
}

const (
	failed     = "Machine {cluster}-kcp-"
	notCreated = "has NoVM (NotCreated)"
	remove     = "`kubectl delete machine {cluster}-kcp-"
	// startCanceled is the trial in which the VM is there when CAPX is restarted.
	startCanceled = "PowerOnCanceled"
	restart       = "`kubectl rollout restart deployment/capx-controller-manager -n capx-system`"
)

// trials by the name of their cluster.
var trials = map[string]trial{
	"ThrottledOnce": {
		capx:   "waits as long as it is told",
		faults: []fault{creating(once(simulator.Fault{Effect: simulator.EffectError, Status: 429, RetryAfter: time.Second}))},
	},
	"ThrottledOnceWithoutRetryAfter": {
		capx:   "waits a second",
		faults: []fault{placing(once(failing(429))), creating(once(failing(429)))},
	},
	"UnavailableOnce": {
		capx:   "waits a second",
		faults: []fault{connecting(once(failing(503))), creating(once(failing(503)))},
	},
	"Slow": {
		capx:   "waits",
		faults: []fault{anything(simulator.Fault{Effect: simulator.EffectSlow, Delay: 300 * time.Millisecond})},
	},
	"SessionsExpire": {
		capx:   "enters with user name and password again",
		faults: []fault{anything(simulator.Fault{Effect: simulator.EffectExpired, Times: 6})},
	},
	"ConnectionLost": {
		capx:   "looks for the VM again",
		faults: []fault{seeking(simulator.Fault{Effect: simulator.EffectDrop, Times: 4})},
	},
	"SeekingFails": {
		capx:   "looks for the VM again",
		faults: []fault{seeking(simulator.Fault{Effect: simulator.EffectError, Status: 500, Times: 3})},
	},
	"Throttled": {
		capx:   "asks again and again and keeps it to itself",
		faults: []fault{seeking(failing(429))},
		says:   []string{failed, notCreated},
		ends:   byItself,
	},
	"WebPage": {
		capx:   "panics in each reconcile, which controller-runtime survives",
		faults: []fault{seeking(simulator.Fault{Effect: simulator.EffectHTML})},
		says:   []string{failed, notCreated},
		ends:   byItself,
	},
	"ElementLookupFails": {
		capx:   "gives the machine up after one 500",
		faults: []fault{placing(failing(500))},
		says:   []string{failed, "has Failed (CreateError)", "Internal Server Error", remove},
		ends:   byCommand,
	},
	"SubnetLookupFails": {
		capx:   "gives the machine up after one 502",
		faults: []fault{connecting(failing(502))},
		says:   []string{failed, "has Failed (CreateError)", "Bad Gateway", remove},
		ends:   byCommand,
	},
	"CreationFails": {
		capx:   "gives the machine up after one 500",
		faults: []fault{creating(saying("the scheduler is away", failing(500)))},
		says:   []string{failed, "has Failed (CreateError)", "the scheduler is away", remove},
		ends:   byCommand,
	},
	"Unavailable": {
		capx:   "asks for 12 seconds and gives the machine up",
		faults: []fault{creating(failing(503))},
		pause:  5 * time.Second,
		says:   []string{failed, "has Failed (CreateError)", "giving up after 6 attempt(s)", remove},
		ends:   byCommand,
	},
	"TaskFails": {
		capx:   "gives the machine up",
		faults: []fault{creating(simulator.Fault{Effect: simulator.EffectTaskFailed, Message: "No host has enough memory"})},
		says:   []string{failed, "has Failed (CreateError)", "No host has enough memory", remove},
		ends:   byCommand,
	},
	"PowerOnFails": {
		capx:   "gives the machine up and leaves its VM switched off",
		faults: []fault{starting(simulator.Fault{Effect: simulator.EffectTaskFailed, Message: "No host has enough memory"})},
		says:   []string{failed, "has Failed (PowerOnError)", "No host has enough memory", remove},
		ends:   byCommand,
	},
	"TaskFailsWithoutWords": {
		capx:   "waits for the task without end",
		faults: []fault{creating(once(simulator.Fault{Effect: simulator.EffectTaskFailed}))},
		says:   []string{failed, notCreated, restart},
		ends:   byRestart,
	},
	"TaskCanceled": {
		capx:   "waits for the task without end",
		faults: []fault{creating(once(simulator.Fault{Effect: simulator.EffectTaskCanceled}))},
		says:   []string{failed, notCreated, restart},
		ends:   byRestart,
	},
	startCanceled: {
		capx:   "waits for the task without end",
		faults: []fault{starting(once(simulator.Fault{Effect: simulator.EffectTaskCanceled}))},
		says:   []string{failed, notCreated, "it is CANCELED and gives no reason", restart},
		ends:   byRestart,
	},
	"TaskSuspended": {
		capx:   "waits for the task without end",
		faults: []fault{creating(once(simulator.Fault{Effect: simulator.EffectTaskSuspended}))},
		says:   []string{failed, notCreated, restart},
		ends:   byRestart,
	},
}

func TestFaults(t *testing.T) {
	hung := map[string]*stage{}
	for _, name := range named(byRestart) {
		hung[name] = newStage(t, strings.ToLower(name))
	}
	tests := map[string]func(*testing.T){
		"Unseen": allUnseen, "ForeignVM": foreignVM, "ElementAway": elementAway, "AddressesExhausted": addressesExhausted, "Reader": readersTrouble,
		"GivenUp": func(t *testing.T) { t.Helper(); givenUp(t, named(byCommand)) },
	}
	for _, name := range named(byItself) {
		tests[name] = func(t *testing.T) { t.Helper(); passes(t, name) }
	}
	for name, s := range hung {
		tests[name] = func(t *testing.T) {
			t.Helper()
			one := s.as(t)
			one.suffer(name)
			one.declare(0, "")
			s.message = one.told(trials[name].says...)
			one.struck()
		}
	}
	t.Run("Each", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	t.Run("Restart", func(t *testing.T) { afterRestart(t, hung) })
}

// named are the trials that end in one way, in order.
func named(end ending) []string {
	var names []string
	for name, x := range trials {
		if x.ends == end {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// suffer lets a trial begin.
func (s *stage) suffer(name string) {
	s.T.Helper()
	s.T.Logf("%s: CAPX %s", name, trials[name].capx)
	s.let(trials[name].faults...)
}

// allUnseen lets everything happen to one cluster that nobody has to know of.
func allUnseen(t *testing.T) {
	t.Helper()
	s := newStage(t, "unseen")
	for _, name := range named(unseen) {
		s.suffer(name)
	}
	s.declare(0, "")
	s.ready()
	s.struck()
	s.oneVM()
	if alarms := s.alarms(); len(alarms) > 0 {
		t.Errorf("it was told: %q", alarms)
	}
}

// passes lets one thing happen until it is told: once it is over, the same machine comes up.
func passes(t *testing.T, name string) {
	t.Helper()
	s := newStage(t, strings.ToLower(name))
	s.suffer(name)
	s.declare(0, "")
	s.told(trials[name].says...)
	s.struck()
	first := s.machine("kcp")
	s.mend()
	s.ready()
	if second := s.machine("kcp"); second != first {
		t.Errorf("%s went and %s came", first, second)
	}
	s.oneVM()
}

// givenUp lets one machine after the other be given up, each for another reason: the command in each message makes way
// for the next, and after the last the cluster comes up.
func givenUp(t *testing.T, names []string) {
	t.Helper()
	s := newStage(t, "givenup")
	s.suffer(names[0])
	s.declare(0, "")
	for i, name := range names {
		message := s.told(trials[name].says...)
		s.struck()
		s.rests(trials[name].pause)
		s.mend()
		if i+1 < len(names) {
			s.suffer(names[i+1])
		}
		first := s.machine("kcp")
		s.run(only(t, commands(message)))
		if second := s.machine("kcp"); second == first {
			t.Errorf("%s: %s is still there", name, first)
		}
	}
	s.ready()
	s.oneVM()
}

func only(t *testing.T, commands []string) string {
	t.Helper()
	if len(commands) != 1 {
		t.Fatalf("%q are not one command", commands)
	}
	return commands[0]
}

// afterRestart runs the command that restarts CAPX, once for all that it hangs in: whatever else is being made at that
// moment may suffer, as the message says.
func afterRestart(t *testing.T, hung map[string]*stage) {
	t.Helper()
	for _, s := range hung {
		s.restart(s.message)
		break
	}
	for name, at := range hung {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := at.as(t)
			if name == startCanceled {
				// The VM is there, and CAPX had not noted it.
				told := commands(s.told(failed, "has Adopted (NameTaken)", "Made for this Machine (category KubernetesClusterName: {cluster})"))
				s.run(told[len(told)-1])
			}
			s.ready()
			s.oneVM()
		})
	}
}
