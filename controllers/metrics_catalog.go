package controllers

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// metric describes one metric: everything that docs/reference/metrics.md says about it.
type metric struct {
	name, help string
	kind       string // gauge, counter or histogram
	labels     []string
	buckets    []float64
}

// What metrics are. Labels hold names of objects, words of the API and numbers of HTTP; never a message, a value of a
// field, a user or a URL. namespace and name are those of the object, as in kube-state-metrics.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

var object = []string{"namespace", "name"}

func with(labels ...string) []string { return append(slices.Clone(object), labels...) }

// Of the operator itself.
var (
	buildInfo = metric{name: "refract_build_info", kind: gauge, labels: []string{"version", "go_version"}, help: "1, with the version of Refract and of the Go that built it."}
	leading   = metric{name: "refract_leader", kind: gauge, help: "1 on the replica that acts, 0 on those that wait. Only the one that acts reports objects."}
)

// Of objects, read from the cache at each scrape: a series goes when its object does.
var (
	objectCondition = metric{name: "refract_object_condition", kind: gauge, labels: []string{"kind", "namespace", "name", "type", "status", "reason"}, help: "1 for each condition of a Fleet, NutanixClusterSpec or CloudAccount, with its status and reason now."}
	objectSuspended = metric{name: "refract_object_suspended", kind: gauge, labels: []string{"kind", "namespace", "name"}, help: "1 when spec.suspend of a Fleet or NutanixClusterSpec is set, else 0."}

	fleetInterval       = metric{name: "refract_fleet_interval_seconds", kind: gauge, labels: object, help: "How often the repository of a Fleet is looked at."}
	fleetRead           = metric{name: "refract_fleet_source_read_timestamp_seconds", kind: gauge, labels: object, help: "When the repository of a Fleet was last read with success; before the first time, when it was first tried by this process."}
	fleetCommitted      = metric{name: "refract_fleet_revision_commit_timestamp_seconds", kind: gauge, labels: with("revision"), help: "When the revision was committed that was last attempted, and the one that was last applied as a whole. Absent after a restart until it is known."}
	fleetUpToDate       = metric{name: "refract_fleet_up_to_date", kind: gauge, labels: object, help: "1 when the revision that was read last is applied as a whole, else 0."}
	fleetHeld           = metric{name: "refract_fleet_held_clusters", kind: gauge, labels: object, help: "Clusters of a Fleet whose change is held, for whatever reason, those that are not mirrored yet included."}
	fleetHeldPlans      = metric{name: "refract_fleet_held_plans", kind: gauge, labels: with("severity"), help: "Plans of a Fleet's clusters that wait for a person, by severity."}
	fleetHeldSince      = metric{name: "refract_fleet_held_plan_timestamp_seconds", kind: gauge, labels: with("severity"), help: "When the plan that a Fleet holds was first shown; absent when it holds none."}
	fleetFailures       = metric{name: "refract_fleet_failures", kind: gauge, labels: object, help: "Mistakes in the files of a Fleet, and clusters that are held before they exist."}
	clusterInfo         = metric{name: "refract_cluster_info", kind: gauge, labels: with("fleet", "profile", "kubernetes_version"), help: "1 for each cluster, to join with; fleet is empty without one."}
	clusterPhase        = metric{name: "refract_cluster_phase", kind: gauge, labels: with("phase"), help: "1 for the phase that a cluster is in."}
	clusterHeld         = metric{name: "refract_cluster_held_plan_timestamp_seconds", kind: gauge, labels: with("severity"), help: "When the plan that is held for a cluster was first shown; absent when none is."}
	machinesDesired     = metric{name: "refract_cluster_machines_desired", kind: gauge, labels: with("role"), help: "Machines that a cluster is to have, by role: control-plane or worker."}
	machinesThere       = metric{name: "refract_cluster_machines_available", kind: gauge, labels: with("role"), help: "Machines in use and healthy, by role."}
	machinesNew         = metric{name: "refract_cluster_machines_up_to_date", kind: gauge, labels: with("role"), help: "Machines that would not be re-created, by role."}
	machinesDifference  = metric{name: "refract_cluster_machines_difference", kind: gauge, labels: object, help: "Machines that the last accepted change re-created or removed beyond what its plan said; negative, once it has been carried out, for those that the plan said and that stayed. 0 is as it should be; absent before the first change."}
	clusterProgress     = metric{name: "refract_cluster_last_progress_timestamp_seconds", kind: gauge, labels: object, help: "When a cluster that is being changed last got on, as far as this process knows; absent when nothing is under way."}
	clusterDrift        = metric{name: "refract_cluster_drift_fields", kind: gauge, labels: object, help: "Fields of a cluster's objects that differ from the wanted ones and are not put back, at most 50."}
	clusterMachineDrift = metric{name: "refract_cluster_machine_drift", kind: gauge, labels: object, help: "Differences between a cluster's virtual machines in Prism Central and what was accepted, at most 50."}
	clusterPreflight    = metric{name: "refract_cluster_preflight_findings", kind: gauge, labels: with("verdict"), help: "What the last checks against Prism Central found before machines were made, by verdict: Failed, Short or Unknown."}
	prismInventory      = metric{name: "refract_prism_inventory_timestamp_seconds", kind: gauge, labels: object, help: "When the inventory of a CloudAccount's Prism Central was begun that was read last, whole or in part."}
	prismInterval       = metric{name: "refract_prism_inventory_interval_seconds", kind: gauge, labels: object, help: "How often the inventory of a CloudAccount's Prism Central is read."}
	prismUnknown        = metric{name: "refract_prism_inventory_unknown", kind: gauge, labels: with("part"), help: "1 for each part of a CloudAccount's Prism Central that the last inventory could not read, of all Prism Elements or of some, such as virtual machines; what it needs is neither checked nor compared."}
	clusterContest      = metric{name: "refract_cluster_contested_fields", kind: gauge, labels: object, help: "Fields that another manager keeps changing and that are left alone for now."}
)

// Of what happened, counted since the start of the process. A series goes when its object does.
var (
	predicted = metric{name: "refract_cluster_machines_predicted_total", kind: counter, labels: with("change"), help: "Machines that accepted plans said they would change: recreated or removed."}
	observed  = metric{name: "refract_cluster_machines_observed_total", kind: counter, labels: with("change"), help: "Machines that were seen to go, whoever had them go: recreated, or removed with nothing in their place."}
	corrected = metric{name: "refract_cluster_drift_corrected_total", kind: counter, labels: with("kind"), help: "Fields put back and objects made again after another hand changed them, by kind of object."}

	repaired = metric{name: "refract_cluster_machines_repaired_total", kind: counter, labels: with("repair"), help: "Virtual machines put right in Prism Central, by what was done: PowerOn or AddCategories."}

	prismRequests = metric{name: "refract_prism_requests_total", kind: counter, labels: with("route", "code"), help: "Requests to a CloudAccount's Prism Central, by method and path without identifiers. code is the HTTP status, error when there was no answer."}
	prismSeconds  = metric{name: "refract_prism_request_duration_seconds", kind: histogram, labels: object, help: "How long a request to a CloudAccount's Prism Central took.", buckets: []float64{.025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}

	gitOperations = metric{name: "refract_git_operations_total", kind: counter, labels: with("operation", "result"), help: "What was asked of a Fleet's Git server: list (of refs) or fetch (of one commit), and what came of it."}
	gitReceived   = metric{name: "refract_git_received_bytes_total", kind: counter, labels: object, help: "Bytes of packs received for a Fleet."}
	gitSeconds    = metric{name: "refract_git_operation_duration_seconds", kind: histogram, labels: []string{"operation"}, help: "How long an operation took, connecting included.", buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}}

	webhookRequests = metric{name: "refract_webhook_requests_total", kind: counter, labels: []string{"result"}, help: "Calls of Git servers, by what came of them: accepted, ignored (signed, but about nothing that a Fleet reads), replayed, unsigned, unknown (no Fleet takes calls there), oversized, method, path, broken or busy."}

	reviewRequests = metric{name: "refract_review_requests_total", kind: counter, labels: with("method", "result"), help: "Requests to the forge of a Fleet's pull requests, by HTTP method and what came of them: success, or in a word why not."}
	reviewOpen     = metric{name: "refract_review_open_pull_requests", kind: gauge, labels: object, help: "Open pull requests onto the branch of a Fleet, as the forge listed them last."}
	reviewLooked   = metric{name: "refract_review_looked_timestamp_seconds", kind: gauge, labels: object, help: "When all open pull requests of a Fleet were last looked at with success, and said what their merge would do."}
	reviewTold     = metric{name: "refract_review_posted_timestamp_seconds", kind: gauge, labels: object, help: "When a comment or commit status was last handed to the forge of a Fleet by this process; absent before the first."}

	apiRequests = metric{name: "refract_api_requests_total", kind: counter, labels: []string{"verb", "group", "resource", "subresource", "dry_run", "code"}, help: "Requests to the API server, by the words of RBAC. dry_run is true for what changes nothing. code is the HTTP status, error when there was no answer."}
	apiSeconds  = metric{name: "refract_api_request_duration_seconds", kind: histogram, labels: []string{"verb", "dry_run"}, help: "How long a request to the API server took until the answer began; watches are left out.", buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}
)

// catalog lists every metric, by name in order.
func catalog() []metric {
	all := []metric{
		buildInfo, leading, objectCondition, objectSuspended,
		fleetInterval, fleetRead, fleetCommitted, fleetUpToDate, fleetHeld, fleetHeldPlans, fleetHeldSince, fleetFailures,
		clusterInfo, clusterPhase, clusterHeld, machinesDesired, machinesThere, machinesNew, machinesDifference, clusterProgress, clusterDrift, clusterContest,
		clusterMachineDrift, clusterPreflight, prismInventory, prismInterval, prismUnknown, repaired, prismRequests, prismSeconds,
		predicted, observed, corrected, gitOperations, gitReceived, gitSeconds, apiRequests, apiSeconds, webhookRequests,
		reviewRequests, reviewOpen, reviewLooked, reviewTold,
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return all
}

func (m metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.name, m.help, m.labels, nil) }

func (m metric) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.name, Help: m.help}, m.labels)
}

func (m metric) histogram() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.name, Help: m.help, Buckets: m.buckets}, m.labels)
}
