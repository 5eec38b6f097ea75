package plan

import (
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Kinds with rules of their own.
const (
	kindCluster           = "Cluster"
	kindNutanixCluster    = "NutanixCluster"
	kindControlPlane      = "KubeadmControlPlane"
	kindMachineDeployment = "MachineDeployment"
	kindMachineTemplate   = "NutanixMachineTemplate"
	kindConfigTemplate    = "KubeadmConfigTemplate"
	kindFailureDomain     = "NutanixFailureDomain"
)

// autoscalerPrefix begins the annotations that give a pool to the cluster autoscaler.
const autoscalerPrefix = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-"

// owner is a control plane or pool: what a change of its machine template does to its machines.
type owner struct {
	name string
	roll roll
	// refersTo holds Kind/name of the templates and failure domains that the wanted object names.
	refersTo map[string]bool
}

// roll is how many machines are re-created when the machine template changes.
type roll struct {
	machines, unknown int
	upTo              bool
	// oldFirst: the strategy lets an old machine go before its replacement is there.
	oldFirst bool
}

func (r roll) reason() string {
	order, n := "new before old", bounded(r.machines, r.upTo)
	if r.oldFirst {
		order = "old before new"
	}
	switch {
	case r.unknown == 0:
		return fmt.Sprintf("re-creates %s, %s", n, order)
	case r.unknown >= r.machines:
		return fmt.Sprintf("not known whether machines roll: counted as re-creating %s", n)
	default:
		return fmt.Sprintf("re-creates %s, %s; for %d of them that is not known", n, order, r.unknown)
	}
}

func ownsMachines(kind string) bool { return kind == kindControlPlane || kind == kindMachineDeployment }

// ownersOf lists the control plane and the pools that are wanted.
func ownersOf(pairs []Pair) []owner {
	var out []owner
	for _, p := range pairs {
		if p.Want == nil || !ownsMachines(p.Want.GetKind()) {
			continue
		}
		o := owner{name: RefOf(p.Want).String(), roll: rollOf(p), refersTo: map[string]bool{}}
		collectReferences(p.Want.Object["spec"], o.refersTo)
		out = append(out, o)
	}
	return out
}

func collectReferences(v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		kind, _ := v["kind"].(string)
		name, _ := v["name"].(string)
		if kind != "" && name != "" {
			into[kind+"/"+name] = true
		}
		if fd, ok := v["failureDomain"].(string); ok {
			into[kindFailureDomain+"/"+fd] = true
		}
		for _, item := range v {
			collectReferences(item, into)
		}
	case []any:
		for _, item := range v {
			collectReferences(item, into)
		}
	}
}

// rollOf counts the machines that Cluster API would re-create. The number must not move with autoscalers and health
// checks, or an approval of the plan's digest would go stale: where all machines roll it is the pool's size, not the
// machines that happen to be up, and for an autoscaled pool it is the maximum.
func rollOf(p Pair) roll {
	if p.Live == nil {
		return roll{}
	}
	r := roll{oldFirst: oldFirst(p.Want)}
	for _, v := range p.Machines {
		switch v.Outcome {
		case UpToDate:
		case Recreate:
			r.machines++
		default:
			r.machines++
			r.unknown++
		}
	}
	size, _ := number(p.Live, "spec", "replicas")
	if len(p.Machines) == 0 {
		up, _ := number(p.Live, "status", "replicas")
		r.machines = max(size, up)
		r.unknown = r.machines
	}
	whole := r.machines >= len(p.Machines)
	if whole && r.machines > 0 {
		r.machines = max(r.machines, size)
	}
	if limit, ok := autoscaled(p); ok {
		// An empty pool may have machines by the time the plan is carried out.
		if whole || r.machines > 0 {
			r.machines = max(r.machines, limit)
			r.upTo = true
		}
		return r
	}
	if stay, ok := number(p.Want, "spec", "replicas"); ok {
		r.machines = min(r.machines, stay)
		r.unknown = min(r.unknown, stay)
	}
	return r
}

// oldFirst reports whether the strategy of a control plane or pool lets old machines go first.
func oldFirst(o *unstructured.Unstructured) bool {
	strategy := func(field string) any { return canon(lookup(o, "spec", "rollout", "strategy", "rollingUpdate", field)) }
	if o.GetKind() == kindControlPlane {
		return isZero(strategy("maxSurge"))
	}
	spare := strategy("maxUnavailable")
	return spare != nil && !isZero(spare)
}

// isZero reads a number or percentage; nil is none.
func isZero(v any) bool { return v == int64(0) || v == "0" || v == "0%" }

// freshRoll is rollOf for the machines alone that stay unless p is applied.
func freshRoll(p Pair) roll {
	if !slices.ContainsFunc(p.Machines, func(v Verdict) bool { return v.Outcome != UpToDate && !v.Already }) {
		return roll{}
	}
	return rollOf(p)
}

// autoscaled gives the highest maximum that the live or the wanted pool lets the autoscaler go to.
func autoscaled(p Pair) (limit int, ok bool) {
	for _, o := range []*unstructured.Unstructured{p.Want, p.Live} {
		if o == nil {
			continue
		}
		n, err := strconv.Atoi(o.GetAnnotations()[autoscalerPrefix+"max-size"])
		if err == nil {
			limit, ok = max(limit, n), true
		} else if o == p.Want {
			return 0, false // the wanted pool has a fixed size
		}
	}
	return limit, ok
}

// owned counts the machines that go with a deleted object.
func owned(p Pair) (n int, upTo bool) {
	if !ownsMachines(p.Live.GetKind()) {
		return 0, false
	}
	size, _ := number(p.Live, "spec", "replicas")
	n = max(size, len(p.Machines))
	if limit, ok := autoscaled(p); ok {
		return max(n, limit), true
	}
	return n, false
}

// machines is "1 machine" or "3 machines".
func machines(n int) string {
	if n == 1 {
		return "1 machine"
	}
	return strconv.Itoa(n) + " machines"
}

// bounded is a number of machines that an autoscaler may have made smaller.
func bounded(n int, upTo bool) string {
	if upTo {
		return "up to " + machines(n)
	}
	return machines(n)
}
