package rules

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	engine "github.com/prometheus/prometheus/rules"
)

// situation is what Prometheus has scraped, a minute apart, in the notation of its own tests: "1x5" is 1 and five times
// the same, "0+60x5" goes up by 60.
type situation struct {
	alert  string
	series []string
	// after how long it is looked at.
	after time.Duration
	// fires are the labels of each alert that fires, without alertname and severity; empty: none does.
	fires []string
}

const (
	leads = `refract_leader{job="refract",instance="a"} 1x300`
	info  = `refract_build_info{job="refract",instance="a"} 1x300`
)

func condition(kind, name, kindOf, status, reason string) string {
	return fmt.Sprintf(`refract_object_condition{kind=%q,namespace="clusters",name=%q,type=%q,status=%q,reason=%q} 1x2000`, kind, name, kindOf, status, reason)
}

var situations = map[string]situation{
	"OperatorGone":         {"RefractOperatorDown", []string{`other 1x300`}, 6 * time.Minute, []string{`{}`}},
	"OperatorBack":         {"RefractOperatorDown", []string{`refract_leader{instance="a"} _x3 1x300`}, 6 * time.Minute, nil},
	"NobodyLeads":          {"RefractOperatorDown", []string{`refract_leader{instance="a"} 0x300`, `refract_leader{instance="b"} 0x300`}, 6 * time.Minute, []string{`{}`}},
	"OneOfTwoLeads":        {"RefractOperatorDown", []string{leads, `refract_leader{instance="b"} 0x300`}, 6 * time.Minute, nil},
	"FleetNotReady":        {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "False", "AuthenticationFailed")}, 16 * time.Minute, []string{`{name="production", namespace="clusters", reason="AuthenticationFailed"}`}},
	"FleetUnsupported":     {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "Unknown", "Unsupported")}, 16 * time.Minute, []string{`{name="production", namespace="clusters", reason="Unsupported"}`}},
	"FleetOnItsWay":        {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "Unknown", "Progressing")}, 60 * time.Minute, nil},
	"FleetNotReadyYet":     {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "False", "AuthenticationFailed")}, 14 * time.Minute, nil},
	"FleetHolds":           {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "False", "ClustersHeld")}, 60 * time.Minute, nil},
	"FleetSuspended":       {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "False", "AuthenticationFailed"), `refract_object_suspended{kind="Fleet",namespace="clusters",name="production"} 1x300`}, 60 * time.Minute, nil},
	"FleetReady":           {"RefractFleetNotReady", []string{condition("Fleet", "production", "Ready", "True", "Succeeded")}, 60 * time.Minute, nil},
	"SourceStale":          {"RefractSourceStale", []string{`refract_fleet_source_read_timestamp_seconds{namespace="c",name="f"} 0x300`, `refract_fleet_interval_seconds{namespace="c",name="f"} 60x300`}, 26 * time.Minute, []string{`{name="f", namespace="c"}`}},
	"SourceRead":           {"RefractSourceStale", []string{`refract_fleet_source_read_timestamp_seconds{namespace="c",name="f"} 0+60x300`, `refract_fleet_interval_seconds{namespace="c",name="f"} 60x300`}, 2 * time.Hour, nil},
	"SourceReadSeldom":     {"RefractSourceStale", []string{`refract_fleet_source_read_timestamp_seconds{namespace="c",name="f"} 0x300`, `refract_fleet_interval_seconds{namespace="c",name="f"} 3600x300`}, 2 * time.Hour, nil},
	"SourceSuspended":      {"RefractSourceStale", []string{`refract_fleet_source_read_timestamp_seconds{namespace="c",name="f"} 0x300`, `refract_fleet_interval_seconds{namespace="c",name="f"} 60x300`, `refract_object_suspended{kind="Fleet",namespace="c",name="f"} 1x300`}, 2 * time.Hour, nil},
	"ForgeAway":            {"RefractReviewsNotPosted", []string{condition("Fleet", "production", "ReviewsPosted", "False", "ForgeUnreachable")}, 31 * time.Minute, []string{`{name="production", namespace="clusters", reason="ForgeUnreachable"}`}},
	"ForgeJustWentAway":    {"RefractReviewsNotPosted", []string{condition("Fleet", "production", "ReviewsPosted", "False", "ForgeUnreachable")}, 29 * time.Minute, nil},
	"ForgeLimits":          {"RefractReviewsNotPosted", []string{condition("Fleet", "production", "ReviewsPosted", "False", "RateLimited")}, 2 * time.Hour, nil},
	"ReviewsPosted":        {"RefractReviewsNotPosted", []string{condition("Fleet", "production", "ReviewsPosted", "True", "Succeeded")}, 2 * time.Hour, nil},
	"GitFails":             {"RefractGitErrors", []string{`refract_git_operations_total{namespace="c",name="f",operation="list",result="credentials_refused"} 0+1x300`, `refract_git_operations_total{namespace="c",name="f",operation="list",result="success"} 9x300`}, time.Hour, []string{`{name="f", namespace="c"}`}},
	"GitFailsSometimes":    {"RefractGitErrors", []string{`refract_git_operations_total{namespace="c",name="f",operation="list",result="repository_unreachable"} 0+1x300`, `refract_git_operations_total{namespace="c",name="f",operation="list",result="success"} 0+9x300`}, time.Hour, nil},
	"ApprovalWaits":        {"RefractApprovalWaiting", []string{`refract_fleet_held_plan_timestamp_seconds{namespace="c",name="f",severity="Rollout"} 0x300`, `refract_cluster_held_plan_timestamp_seconds{namespace="c",name="edge",severity="Rollout"} 0x300`, `refract_cluster_info{namespace="c",name="edge",fleet="f"} 1x300`}, 16 * time.Minute, []string{`{name="f", namespace="c"}`}},
	"ApprovalIsNew":        {"RefractApprovalWaiting", []string{`refract_fleet_held_plan_timestamp_seconds{namespace="c",name="f",severity="Rollout"} 0x300`}, 14 * time.Minute, nil},
	"AloneWaits":           {"RefractApprovalWaiting", []string{`refract_cluster_held_plan_timestamp_seconds{namespace="c",name="edge",severity="Remove"} 0x300`, `refract_cluster_info{namespace="c",name="edge",fleet=""} 1x300`}, 16 * time.Minute, []string{`{name="edge", namespace="c"}`}},
	"HeldForADay":          {"RefractPlanHeld", []string{`refract_fleet_held_plan_timestamp_seconds{namespace="c",name="f",severity="Destroy"} 0x2000`}, 25 * time.Hour, []string{`{name="f", namespace="c"}`}},
	"HeldForAnHour":        {"RefractPlanHeld", []string{`refract_fleet_held_plan_timestamp_seconds{namespace="c",name="f",severity="Destroy"} 0x2000`}, time.Hour, nil},
	"ClusterNotReady":      {"RefractClusterNotReady", []string{condition("NutanixClusterSpec", "edge", "Ready", "False", "Unhealthy")}, 16 * time.Minute, []string{`{name="edge", namespace="clusters", reason="Unhealthy"}`}},
	"ClusterStaysEdited":   {"RefractClusterNotReady", []string{condition("NutanixClusterSpec", "edge", "Ready", "Unknown", "MirrorEdited")}, 16 * time.Minute, []string{`{name="edge", namespace="clusters", reason="MirrorEdited"}`}},
	"ClusterWaits":         {"RefractClusterNotReady", []string{condition("NutanixClusterSpec", "edge", "Ready", "False", "ApprovalRequired")}, 60 * time.Minute, nil},
	"ClusterComesUp":       {"RefractClusterNotReady", []string{condition("NutanixClusterSpec", "edge", "Ready", "Unknown", "Progressing")}, 60 * time.Minute, nil},
	"RolloutStuck":         {"RefractRolloutStuck", []string{condition("NutanixClusterSpec", "edge", "Stalled", "True", "RolloutStuck")}, 6 * time.Minute, []string{`{name="edge", namespace="clusters"}`}},
	"StalledOtherwise":     {"RefractRolloutStuck", []string{condition("NutanixClusterSpec", "edge", "Stalled", "True", "AlreadyExists")}, 60 * time.Minute, nil},
	"PreflightHolds":       {"RefractPreflightHeld", []string{condition("NutanixClusterSpec", "edge", "Ready", "False", "PreflightFailed")}, 16 * time.Minute, []string{`{name="edge", namespace="clusters", reason="PreflightFailed"}`}},
	"PrismIsNotAsked":      {"RefractPreflightHeld", []string{condition("NutanixClusterSpec", "edge", "Ready", "Unknown", "PreflightUnknown")}, 16 * time.Minute, []string{`{name="edge", namespace="clusters", reason="PreflightUnknown"}`}},
	"PreflightHeldAlone":   {"RefractClusterNotReady", []string{condition("NutanixClusterSpec", "edge", "Ready", "False", "CapacityShort")}, 60 * time.Minute, nil},
	"PreflightOnlyWarns":   {"RefractPreflightHeld", []string{condition("NutanixClusterSpec", "edge", "Ready", "True", "Succeeded"), condition("NutanixClusterSpec", "edge", "PreflightPassed", "True", "CapacityShort")}, 60 * time.Minute, nil},
	"PreflightJustBegan":   {"RefractPreflightHeld", []string{condition("NutanixClusterSpec", "edge", "Ready", "False", "PreflightFailed")}, 14 * time.Minute, nil},
	"PreflightSuspended":   {"RefractPreflightHeld", []string{condition("NutanixClusterSpec", "edge", "Ready", "False", "PreflightFailed"), `refract_object_suspended{kind="NutanixClusterSpec",namespace="clusters",name="edge"} 1x300`}, 60 * time.Minute, nil},
	"MachinesDrifted":      {"RefractMachinesDrifted", []string{`refract_cluster_machine_drift{namespace="c",name="edge"} 0x10 2x300`}, 42 * time.Minute, []string{`{name="edge", namespace="c"}`}},
	"MachinesPutRight":     {"RefractMachinesDrifted", []string{`refract_cluster_machine_drift{namespace="c",name="edge"} 1x20 0x300`}, time.Hour, nil},
	"InventoryOld":         {"RefractInventoryStale", []string{`refract_prism_inventory_interval_seconds{namespace="c",name="pc"} 60x300`, `refract_prism_inventory_timestamp_seconds{namespace="c",name="pc"} 0x300`}, 46 * time.Minute, []string{`{name="pc", namespace="c"}`}},
	"MachinesUnknown":      {"RefractInventoryStale", []string{`refract_prism_inventory_interval_seconds{namespace="c",name="pc"} 60x300`, `refract_prism_inventory_timestamp_seconds{namespace="c",name="pc"} 0+60x300`, `refract_prism_inventory_unknown{namespace="c",name="pc",part="virtual machines"} 1x300`}, 16 * time.Minute, []string{`{name="pc", namespace="c"}`}},
	"ImagesUnknown":        {"RefractInventoryStale", []string{`refract_prism_inventory_interval_seconds{namespace="c",name="pc"} 60x300`, `refract_prism_inventory_timestamp_seconds{namespace="c",name="pc"} 0+60x300`, `refract_prism_inventory_unknown{namespace="c",name="pc",part="images"} 1x300`}, time.Hour, nil},
	"InventoryReadAgain":   {"RefractInventoryStale", []string{`refract_prism_inventory_interval_seconds{namespace="c",name="pc"} 60x300`, `refract_prism_inventory_timestamp_seconds{namespace="c",name="pc"} 0x40 2400+60x300`}, time.Hour, nil},
	"InventoryReadSeldom":  {"RefractInventoryStale", []string{`refract_prism_inventory_interval_seconds{namespace="c",name="pc"} 3600x2000`, `refract_prism_inventory_timestamp_seconds{namespace="c",name="pc"} 0x2000`}, 10 * time.Hour, nil},
	"SeldomAndOld":         {"RefractInventoryStale", []string{`refract_prism_inventory_interval_seconds{namespace="c",name="pc"} 3600x2000`, `refract_prism_inventory_timestamp_seconds{namespace="c",name="pc"} 0x2000`}, 11 * time.Hour, []string{`{name="pc", namespace="c"}`}},
	"PrismFails":           {"RefractPrismErrors", []string{`refract_prism_requests_total{namespace="c",name="pc",route="GET /a",code="error"} 0+2x300`, `refract_prism_requests_total{namespace="c",name="pc",route="GET /b",code="200"} 9x300`}, time.Hour, []string{`{name="pc", namespace="c"}`}},
	"PrismThrottles":       {"RefractPrismErrors", []string{`refract_prism_requests_total{namespace="c",name="pc",route="GET /a",code="429"} 0+5x300`, `refract_prism_requests_total{namespace="c",name="pc",route="GET /a",code="200"} 0+10x300`}, time.Hour, []string{`{name="pc", namespace="c"}`}},
	"MachinesAreNotFound":  {"RefractPrismErrors", []string{`refract_prism_requests_total{namespace="c",name="pc",route="GET /a/{extId}",code="404"} 0+5x300`, `refract_prism_requests_total{namespace="c",name="pc",route="GET /a",code="200"} 0+10x300`}, time.Hour, nil},
	"Contested":            {"RefractDriftContested", []string{`refract_cluster_contested_fields{namespace="c",name="edge"} 2x300`}, 6 * time.Minute, []string{`{name="edge", namespace="c"}`}},
	"NotContested":         {"RefractDriftContested", []string{`refract_cluster_contested_fields{namespace="c",name="edge"} 0x300`}, 60 * time.Minute, nil},
	"Drifted":              {"RefractDriftReported", []string{`refract_cluster_contested_fields{namespace="c",name="edge"} 0x300`, `refract_cluster_drift_fields{namespace="c",name="edge"} 1x300`}, 61 * time.Minute, []string{`{name="edge", namespace="c"}`}},
	"DriftedAndContested":  {"RefractDriftReported", []string{`refract_cluster_contested_fields{namespace="c",name="edge"} 1x300`, `refract_cluster_drift_fields{namespace="c",name="edge"} 1x300`}, 2 * time.Hour, nil},
	"DriftComesBack":       {"RefractDriftRecurring", []string{`refract_cluster_drift_corrected_total{namespace="c",name="edge",kind="MachineDeployment"} 0+1x300`}, time.Hour, []string{`{name="edge", namespace="c"}`}},
	"DriftOnce":            {"RefractDriftRecurring", []string{`refract_cluster_drift_corrected_total{namespace="c",name="edge",kind="MachineDeployment"} 0x9 1x300`}, time.Hour, nil},
	"DeletionBlocked":      {"RefractDeletionBlocked", []string{condition("NutanixClusterSpec", "edge", "Stalled", "True", "DeletionBlocked")}, 16 * time.Minute, []string{`{name="edge", namespace="clusters"}`}},
	"Deleting":             {"RefractDeletionBlocked", []string{condition("NutanixClusterSpec", "edge", "Ready", "Unknown", "Deleting")}, 60 * time.Minute, nil},
	"AccountNotReady":      {"RefractAccountNotReady", []string{condition("CloudAccount", "pc", "Ready", "False", "SecretNotFound")}, 16 * time.Minute, []string{`{name="pc", namespace="clusters", reason="SecretNotFound"}`}},
	"AccountReady":         {"RefractAccountNotReady", []string{condition("CloudAccount", "pc", "Ready", "True", "Succeeded")}, 60 * time.Minute, nil},
	"RecreatedByOthers":    {"RefractMachinesRecreated", []string{`refract_cluster_machines_observed_total{namespace="c",name="edge",change="recreated"} 0x9 4x600`, `refract_cluster_machines_predicted_total{namespace="c",name="edge",change="recreated"} 0x600`}, time.Hour, []string{`{name="edge", namespace="c"}`}},
	"RecreatedAsPredicted": {"RefractMachinesRecreated", []string{`refract_cluster_machines_observed_total{namespace="c",name="edge",change="recreated"} 0x9 4x600`, `refract_cluster_machines_predicted_total{namespace="c",name="edge",change="recreated"} 0x9 4x600`}, time.Hour, nil},
	"OneRemediated":        {"RefractMachinesRecreated", []string{`refract_cluster_machines_observed_total{namespace="c",name="edge",change="recreated"} 0x9 1x600`, `refract_cluster_machines_predicted_total{namespace="c",name="edge",change="recreated"} 0x600`}, time.Hour, nil},
	"MoreThanPredicted":    {"RefractPlanMispredicted", []string{`refract_cluster_machines_difference{namespace="c",name="edge"} 1x300`}, 16 * time.Minute, []string{`{name="edge", namespace="c"}`}},
	"FewerThanPredicted":   {"RefractPlanMispredicted", []string{`refract_cluster_machines_difference{namespace="c",name="edge"} -2x300`}, 16 * time.Minute, []string{`{name="edge", namespace="c"}`}},
	"ChangesAsPredicted":   {"RefractPlanMispredicted", []string{`refract_cluster_machines_difference{namespace="c",name="edge"} 0x300`}, time.Hour, nil},
	"SeenALittleLate":      {"RefractPlanMispredicted", []string{`refract_cluster_machines_difference{namespace="c",name="edge"} -1x9 0x300`}, 20 * time.Minute, nil},
	"Forbidden":            {"RefractAPIErrors", []string{`refract_api_requests_total{verb="patch",resource="clusters",code="403"} 0+10x300`, `refract_api_requests_total{verb="get",resource="secrets",code="200"} 0+90x300`}, time.Hour, []string{`{code="403"}`}},
	"ConflictsAreWork":     {"RefractAPIErrors", []string{`refract_api_requests_total{verb="patch",resource="clusters",code="409"} 0+50x300`, `refract_api_requests_total{verb="get",resource="secrets",code="404"} 0+50x300`}, time.Hour, nil},
	"ReconcilesFail":       {"RefractReconcileErrors", []string{info, `controller_runtime_reconcile_errors_total{job="refract",instance="a",controller="cluster"} 0+5x300`, `controller_runtime_reconcile_total{job="refract",instance="a",controller="cluster",result="error"} 0+5x300`, `controller_runtime_reconcile_total{job="refract",instance="a",controller="cluster",result="success"} 0+5x300`}, time.Hour, []string{`{controller="cluster"}`}},
	"OthersReconcilesFail": {"RefractReconcileErrors", []string{info, `controller_runtime_reconcile_errors_total{job="capi",instance="b",controller="cluster"} 0+5x300`, `controller_runtime_reconcile_total{job="capi",instance="b",controller="cluster",result="error"} 0+5x300`}, time.Hour, nil},
	"Panics":               {"RefractPanic", []string{info, `controller_runtime_reconcile_panics_total{job="refract",instance="a",controller="fleet"} 0x50 1x300`}, 55 * time.Minute, []string{`{controller="fleet"}`}},
	"NoPanic":              {"RefractPanic", []string{info, `controller_runtime_reconcile_panics_total{job="refract",instance="a",controller="fleet"} 0x300`}, 55 * time.Minute, nil},
}

// TestAlertsFire has Prometheus' own engine evaluate each rule, minute by minute, over what was scraped.
func TestAlertsFire(t *testing.T) {
	for name, s := range situations {
		t.Run(name, func(t *testing.T) {
			if got := firing(t, s); !slices.Equal(got, s.fires) {
				t.Errorf("%s: %q fire, want %q", s.alert, got, s.fires)
			}
		})
	}
	for _, r := range rules(t) {
		fires, not := false, false
		for _, s := range situations {
			fires = fires || (s.alert == r.Alert && len(s.fires) > 0)
			not = not || (s.alert == r.Alert && len(s.fires) == 0)
		}
		if !fires || !not {
			t.Errorf("%s is not shown to fire and not to fire", r.Alert)
		}
	}
}

// firing evaluates a rule every minute and returns the labels of what fires at the end.
func firing(t *testing.T, s situation) []string {
	t.Helper()
	store := promqltest.LoadedStorage(t, "load 1m\n  "+strings.Join(s.series, "\n  ")+"\n")
	query := engine.EngineQueryFunc(promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{
		MaxSamples: 1 << 20, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: promQL,
	}), store)
	rule := alertingRule(t, s.alert)
	end := time.Unix(0, 0).UTC().Add(s.after)
	for at := time.Unix(0, 0).UTC(); !at.After(end); at = at.Add(time.Minute) {
		if _, err := rule.Eval(t.Context(), 0, at, query, &url.URL{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	var fires []string
	for _, a := range rule.ActiveAlerts() {
		if a.State != engine.StateFiring {
			continue
		}
		for _, text := range []string{a.Annotations.Get("summary"), a.Annotations.Get("description")} {
			if strings.Contains(text, "<no value>") || strings.Contains(text, "error expanding") || strings.Contains(text, "{{") {
				t.Errorf("%s says %q", s.alert, text)
			}
		}
		fires = append(fires, labels.NewBuilder(a.Labels).Del("alertname", "severity").Labels().String())
	}
	slices.Sort(fires)
	return fires
}

func alertingRule(t *testing.T, name string) *engine.AlertingRule {
	t.Helper()
	for _, r := range rules(t) {
		if r.Alert != name {
			continue
		}
		expr, err := promQL.ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		return engine.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor),
			labels.FromMap(r.Labels), labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	}
	t.Fatalf("there is no rule %s", name)
	return nil
}
