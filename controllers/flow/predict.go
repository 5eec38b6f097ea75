package flow

import (
	"errors"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/plan"
)

// errBase says that the files to compare with cannot be rendered.
var errBase = errors.New("the base cannot be rendered")

// Predict says from files alone what a cluster's inputs would change, as if what base's files ask for were live and
// settled. Numbers of machines are those of the files; for an autoscaled pool its maximum. An error that wraps
// *build.Error is a mistake in the files of in.
func Predict(in, base render.Inputs) (Proposal, error) {
	renders.Add(2)
	in.Was = &base
	was, err := render.Cluster(base)
	if err != nil {
		return Proposal{}, fmt.Errorf("%w: %v", errBase, err) //nolint:errorlint // a mistake in the base is none of the head
	}
	is, err := render.Cluster(in)
	if err != nil {
		return Proposal{}, err
	}
	before := revision{unit: was, objects: map[string]*unstructured.Unstructured{}}
	for _, o := range was.Named(nil, nil) {
		before.objects[kindName(o)] = o
		before.order = append(before.order, o)
	}
	p := Proposal{Unit: is, Rendered: is.Digest()}
	p.Objects = is.Named(nil, func(kind, name string) bool { return before.objects[kind+"/"+name] == nil })
	p.Pairs = before.pairs(is, p.Objects)
	p.Plan = plan.Compute(p.Pairs, plan.Options{
		Cluster: in.Cluster.Name, Rendered: true, Place: places(is, in),
	})
	p.Plan.Predicted = true
	return p, nil
}

// revision is what one revision of a cluster's files renders to.
type revision struct {
	unit    render.Unit
	objects map[string]*unstructured.Unstructured // by kind/name
	order   []*unstructured.Unstructured
}

func kindName(o *unstructured.Unstructured) string { return o.GetKind() + "/" + o.GetName() }

// pairs puts what is wanted beside what the earlier revision asked for.
func (r revision) pairs(is render.Unit, wanted []*unstructured.Unstructured) []plan.Pair {
	previous := r.previous(is)
	stays := map[string]bool{}
	var pairs []plan.Pair
	for _, want := range wanted {
		stays[kindName(want)] = true
		p := plan.Pair{Want: want, Live: r.objects[kindName(want)], Origin: is.Origin(want)}
		if p.Live == nil {
			p.Previous = previous[kindName(want)]
		} else {
			p.Live = defaulted(sized(p.Live, want), want)
			p.Machines = machinesOfFile(p.Live)
		}
		pairs = append(pairs, p)
	}
	// Templates of the earlier revision stay for as long as machines refer to them.
	for _, t := range r.unit.Templates() {
		stays[t.Object.GetKind()+"/"+t.Hashed] = true
	}
	for _, o := range r.order {
		if !stays[kindName(o)] {
			pairs = append(pairs, plan.Pair{Live: o, Machines: machinesOfFile(o)})
		}
	}
	return pairs
}

// previous leads from each template, by kind and final name, to the one in its place before.
func (r revision) previous(is render.Unit) map[string]*unstructured.Unstructured {
	before := map[string]*unstructured.Unstructured{}
	for _, t := range r.unit.Templates() {
		before[t.Key()] = r.objects[t.Object.GetKind()+"/"+t.Hashed]
	}
	previous := map[string]*unstructured.Unstructured{}
	for _, t := range is.Templates() {
		previous[t.Object.GetKind()+"/"+t.Hashed] = before[t.Key()]
	}
	return previous
}

// sized gives an autoscaled pool that is to get a fixed size the most machines that it may have: how many there are, no
// file tells.
func sized(live, want *unstructured.Unstructured) *unstructured.Unstructured {
	_, fixed := replicas(want)
	if _, known := replicas(live); known || !fixed {
		return live
	}
	most, err := strconv.ParseInt(live.GetAnnotations()[autoscalerMax], 10, 64)
	if err != nil {
		return live
	}
	out := live.DeepCopy()
	_ = unstructured.SetNestedField(out.Object, most, "spec", "replicas") // fails for no rendered object
	return out
}

// defaulted gives a control plane or pool the strategy that Cluster API gives to one that names none, where the other
// names just that: writing it down changes nothing.
func defaulted(live, want *unstructured.Unstructured) *unstructured.Unstructured {
	strategy := []string{"spec", "rollout", "strategy", "type"}
	was, named, _ := unstructured.NestedString(live.Object, strategy...)
	is, wanted, _ := unstructured.NestedString(want.Object, strategy...)
	if !ownsMachines(live) || named == wanted || was+is != "RollingUpdate" {
		return live
	}
	out := live.DeepCopy()
	if wanted {
		_ = unstructured.SetNestedField(out.Object, is, strategy...) // fails for no rendered object
	} else {
		unstructured.RemoveNestedField(out.Object, strategy...)
	}
	return out
}

// autoscalerMax is where the number of machines stands up to which an autoscaled pool may grow.
const autoscalerMax = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"

// machinesOfFile are the machines that a control plane or pool has by its file. Each is re-created by whatever change is
// not known to leave machines alone, and by no other.
func machinesOfFile(o *unstructured.Unstructured) []plan.Verdict {
	if !ownsMachines(o) {
		return nil
	}
	n, _ := replicas(o)
	machines := make([]plan.Verdict, n)
	for i := range machines {
		machines[i] = plan.Verdict{Outcome: plan.Recreate, Already: true}
	}
	return machines
}

func ownsMachines(o *unstructured.Unstructured) bool {
	return o.GetKind() == "KubeadmControlPlane" || o.GetKind() == "MachineDeployment"
}

func replicas(o *unstructured.Unstructured) (int64, bool) {
	n, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	return n, ok
}
