package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// severityCase is one row of the design's table of severities.
type severityCase struct {
	reason  string
	pairs   func(t *testing.T) []Pair
	options Options
	want    []string
	words   string // what the reason of the worst change says
}

func runSeverityCases(t *testing.T, cases map[string]severityCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := tc.options
			o.Cluster = "edge-01"
			p := Compute(tc.pairs(t), o)
			if diff := cmp.Diff(tc.want, brief(p.Changes)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			said := slices.ContainsFunc(p.Changes, func(c Change) bool {
				return c.Severity == p.Severity() && strings.Contains(c.Reason, tc.words)
			})
			if tc.words != "" && !said {
				t.Errorf("%s: no change of severity %s says %q: %+v", tc.reason, p.Severity(), tc.words, p.Changes)
			}
		})
	}
}

func one(f func(t *testing.T) Pair) func(t *testing.T) []Pair {
	return func(t *testing.T) []Pair { t.Helper(); return []Pair{f(t)} }
}

func kcpPair(live, want, machines, oldest string) func(t *testing.T) []Pair {
	return one(func(t *testing.T) Pair {
		t.Helper()
		p := changed(controlPlane(t, live), controlPlane(t, want))
		p.Machines, p.OldestVersion = verdicts(machines), oldest
		return p
	})
}

func poolPair(live, want, machines string) func(t *testing.T) []Pair {
	return one(func(t *testing.T) Pair {
		t.Helper()
		p := changed(pool(t, live), pool(t, want))
		p.Machines = verdicts(machines)
		return p
	})
}

func clusterPair(live, want string) func(t *testing.T) []Pair {
	return one(func(t *testing.T) Pair {
		t.Helper()
		return changed(thing(t, coreAPI, "Cluster", "edge-01", live), thing(t, coreAPI, "Cluster", "edge-01", want))
	})
}

func gone(kind, spec, machines string) func(t *testing.T) []Pair {
	return one(func(t *testing.T) Pair {
		t.Helper()
		return Pair{Live: thing(t, coreAPI, kind, "edge-01-x", spec), Machines: verdicts(machines)}
	})
}

func TestSeverityControlPlane(t *testing.T) {
	runSeverityCases(t, map[string]severityCase{
		"VersionOneMinorUp": {
			reason: "one minor up rolls every machine",
			pairs:  kcpPair("{replicas: 3, version: v1.33.4}", "{replicas: 3, version: v1.34.1}", "rrr", "v1.33.4"),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.33.4"→"v1.34.1" Rollout 3`},
			words:  "re-creates 3 machines, new before old",
		},
		"VersionDowngrade": {
			reason: "kubeadm cannot go back",
			pairs:  kcpPair("{version: v1.34.1}", "{version: v1.33.4}", "rrr", "v1.34.1"),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.34.1"→"v1.33.4" Forbidden`},
			words:  "commit v1.34.1 or newer",
		},
		"VersionPatchDowngrade": {
			reason: "a patch version back is a downgrade too",
			pairs:  kcpPair("{version: v1.34.2}", "{version: v1.34.1}", "rrr", ""),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.34.2"→"v1.34.1" Forbidden`},
			words:  "commit v1.34.2 or newer",
		},
		"VersionSkipsMinor": {
			reason: "one minor at a time",
			pairs:  kcpPair("{version: v1.32.9}", "{version: v1.34.1}", "rrr", "v1.32.9"),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.32.9"→"v1.34.1" Forbidden`},
			words:  "commit a v1.33 release first",
		},
		"VersionSkipsMinorOfOldestMachine": {
			reason: "the spec says v1.33, but a machine still runs v1.32: Cluster API's webhook would let this pass",
			pairs:  kcpPair("{version: v1.33.4}", "{version: v1.34.1}", "rrr", "v1.32.9"),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.33.4"→"v1.34.1" Forbidden`},
			words:  "the oldest control-plane machine runs v1.32.9",
		},
		"VersionBackBeforeAnyMachineWent": {
			reason: "an upgrade that has not replaced a machine can be taken back",
			pairs:  kcpPair("{version: v1.34.1, replicas: 3}", "{version: v1.33.4, replicas: 3}", "uuu", "v1.33.4"),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.34.1"→"v1.33.4" InPlace`},
		},
		"VersionBackWhileItRolls": {
			reason: "two of three machines run v1.34 already: taking them back is a downgrade, whatever the third one runs",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				p := changed(controlPlane(t, "{version: v1.34.1, replicas: 3}"), controlPlane(t, "{version: v1.33.4, replicas: 3}"))
				p.Machines, p.OldestVersion, p.NewestVersion = verdicts("rru"), "v1.33.4", "v1.34.1"
				return p
			}),
			want:  []string{`Update KubeadmControlPlane spec.version: "v1.34.1"→"v1.33.4" Forbidden`},
			words: "the newest control-plane machine",
		},
		"VersionUnreadable": {
			reason: "what cannot be compared is refused",
			pairs:  kcpPair("{version: v1.34.1}", "{version: latest}", "rrr", "v1.34.1"),
			want:   []string{`Update KubeadmControlPlane spec.version: "v1.34.1"→"latest" Forbidden`},
			words:  "commit one such as v1.34.1",
		},
		"ReplicasEven": {
			reason: "etcd wants an odd number",
			pairs:  kcpPair("{replicas: 3}", "{replicas: 4}", "uuu", ""),
			want:   []string{`Update KubeadmControlPlane spec.replicas: "3"→"4" Forbidden`},
			words:  "commit 1, 3 or 5",
		},
		"ReplicasThreeToOne": {
			reason: "etcd cannot shrink to one",
			pairs:  kcpPair("{replicas: 3}", "{replicas: 1}", "uuu", ""),
			want:   []string{`Update KubeadmControlPlane spec.replicas: "3"→"1" Forbidden`},
			words:  "commit 3",
		},
		"ReplicasFiveToThree": {
			reason: "two go with nothing in their place",
			pairs:  kcpPair("{replicas: 5}", "{replicas: 3}", "uuuuu", ""),
			want:   []string{`Update KubeadmControlPlane spec.replicas: "5"→"3" Remove 2`},
			words:  "removes 2 machines",
		},
		"ReplicasOneToThree": {
			reason: "scale up is in place",
			pairs:  kcpPair("{replicas: 1}", "{replicas: 3}", "u", ""),
			want:   []string{`Update KubeadmControlPlane spec.replicas: "1"→"3" InPlace`},
		},
		"FewerAndRolled": {
			reason: "two go, and the three that stay are re-created",
			pairs: kcpPair("{replicas: 5, kubeadmConfigSpec: {format: a}}", "{replicas: 3, kubeadmConfigSpec: {format: b}}",
				"rrrrr", ""),
			want: []string{
				`Update KubeadmControlPlane spec.kubeadmConfigSpec.format: "a"→"b" Rollout 3`,
				`Update KubeadmControlPlane spec.replicas: "5"→"3" Remove 2`,
			},
		},
		"VerdictNotKnown": {
			reason: "no verdict is gated like a rollout and said so",
			pairs:  kcpPair("{replicas: 3, kubeadmConfigSpec: {format: a}}", "{replicas: 3, kubeadmConfigSpec: {format: b}}", "u?r", ""),
			want:   []string{`Update KubeadmControlPlane spec.kubeadmConfigSpec.format: "a"→"b" Rollout 2`},
			words:  "for 1 of them that is not known",
		},
		"NoVerdictAtAll": {
			reason: "replicas without a verdict all count",
			pairs:  kcpPair("{replicas: 3, kubeadmConfigSpec: {format: a}}", "{replicas: 3, kubeadmConfigSpec: {format: b}}", "", ""),
			want:   []string{`Update KubeadmControlPlane spec.kubeadmConfigSpec.format: "a"→"b" Rollout 3`},
			words:  "not known whether machines roll",
		},
		"PropagatedInPlace": {
			reason: "Cluster API writes it to living Machines, even while an older change still rolls",
			pairs: kcpPair("{machineTemplate: {spec: {deletion: {nodeDrainTimeoutSeconds: 1}}}}",
				"{machineTemplate: {spec: {deletion: {nodeDrainTimeoutSeconds: 2}}}}", "RRR", ""),
			want: []string{
				`Update KubeadmControlPlane spec.machineTemplate.spec.deletion.nodeDrainTimeoutSeconds: "1"→"2" InPlace`,
			},
		},
		"RollThatNoFieldExplains": {
			reason: "the verdicts say that machines go with this, so the plan does",
			pairs:  kcpPair("{replicas: 3, remediation: {maxRetry: 1}}", "{replicas: 3, remediation: {maxRetry: 2}}", "urr", ""),
			want: []string{
				`Update KubeadmControlPlane spec.remediation.maxRetry: "1"→"2" InPlace`,
				`Update KubeadmControlPlane : ""→"rolled" Rollout 2`,
			},
			words: "Cluster API would replace machines",
		},
		"RolledByTheClock": {
			reason: "CAPI's verdict is about now, the machines go later",
			pairs:  kcpPair("{replicas: 3}", "{replicas: 3, rollout: {before: {certificatesExpiryDays: 21}}}", "uuu", ""),
			want:   []string{`Update KubeadmControlPlane spec.rollout.before.certificatesExpiryDays: ""→"21" Rollout 3`},
			words:  "when the time comes",
		},
		"OldBeforeNew": {
			reason: "without a surge an old machine goes first",
			pairs: kcpPair("{replicas: 3, version: v1.33.4}",
				"{replicas: 3, version: v1.33.5, rollout: {strategy: {rollingUpdate: {maxSurge: 0}}}}", "rrr", "v1.33.4"),
			want: []string{
				`Update KubeadmControlPlane spec.rollout.strategy.rollingUpdate.maxSurge: ""→"0" InPlace`,
				`Update KubeadmControlPlane spec.version: "v1.33.4"→"v1.33.5" Rollout 3`,
			},
			words: "old before new",
		},
		"CreatedEven": {
			reason: "a new control plane must be odd too",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return Pair{Want: controlPlane(t, "{replicas: 2}")}
			}),
			want:  []string{`Create KubeadmControlPlane : ""→"sha256:…" Forbidden`},
			words: "commit 1, 3 or 5",
		},
		"CreatedUnderALivingCluster": {
			reason: "a new etcd under an old name is a lost cluster",
			pairs: func(t *testing.T) []Pair {
				t.Helper()
				cluster := object(t, `{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: edge-01},
					status: {initialization: {controlPlaneInitialized: true}}}`)
				return []Pair{changed(cluster, cluster), {Want: controlPlane(t, "{replicas: 3}")}}
			},
			want:  []string{`Create KubeadmControlPlane : ""→"sha256:…" Destroy`},
			words: "empty etcd",
		},
		"Refused": {
			reason: "a webhook's 422 is refused with its words",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return Pair{
					Want: controlPlane(t, "{rollout: {strategy: {type: X}}}"), Live: controlPlane(t, "{rollout: {strategy: {type: RollingUpdate}}}"),
					Refused: `admission webhook denied the request: Unsupported value: "X"`,
				}
			}),
			want: []string{
				`Update KubeadmControlPlane spec.rollout.strategy.type: "RollingUpdate"→"X" InPlace`,
				`Update KubeadmControlPlane : ""→"refused" Forbidden`,
			},
			words: `Unsupported value: "X"`,
		},
	})
}

func TestSeverityPool(t *testing.T) {
	const refA, refB = "{template: {spec: {infrastructureRef: {kind: NutanixMachineTemplate, name: a}}}, replicas: 3}",
		"{template: {spec: {infrastructureRef: {kind: NutanixMachineTemplate, name: b}}}, replicas: 3}"
	auto := func(machines string) func(t *testing.T) []Pair {
		return one(func(t *testing.T) Pair {
			t.Helper()
			p := changed(autoscaledPool(t, "9", refA), autoscaledPool(t, "9", refB))
			p.Machines = verdicts(machines)
			return p
		})
	}
	rollAtMost := []string{`Update MachineDeployment spec.template.spec.infrastructureRef.name: "a"→"b" Rollout 9 at most`}
	runSeverityCases(t, map[string]severityCase{
		"TemplateUnderANewName": {
			reason: "shown as the fields that differ, with the owner's machines, not as a creation",
			pairs: func(t *testing.T) []Pair {
				t.Helper()
				md := changed(pool(t, refA), pool(t, refB))
				md.Machines = verdicts("rrr")
				return []Pair{{Want: template(t, "b", "6Gi"), DryRun: template(t, "b", "6Gi"), Previous: template(t, "a", "4Gi")}, md}
			},
			want: []string{
				`Create NutanixMachineTemplate spec.template.spec.memorySize: "4Gi"→"6Gi" Rollout 3`,
				`Update MachineDeployment spec.template.spec.infrastructureRef.name: "a"→"b" Rollout 3`,
			},
		},
		"TemplateWithOtherDevices": {
			reason: "CAPX attaches GPUs and data disks when it creates a machine, never later",
			pairs: func(t *testing.T) []Pair {
				t.Helper()
				md := changed(pool(t, refA), pool(t, refB))
				md.Machines = verdicts("rrr")
				before := thing(t, infraAPI, "NutanixMachineTemplate", "a", "{template: {spec: {dataDisks: [{diskSize: 50Gi}]}}}")
				after := thing(t, infraAPI, "NutanixMachineTemplate", "b",
					"{template: {spec: {dataDisks: [{diskSize: 60Gi}], gpus: [{type: name, name: T4}]}}}")
				return []Pair{{Want: after, DryRun: after, Previous: before}, md}
			},
			want: []string{
				`Create NutanixMachineTemplate spec.template.spec.dataDisks[0].diskSize: "50Gi"→"60Gi" Rollout 3`,
				`Create NutanixMachineTemplate spec.template.spec.gpus[T4]: ""→"{\"name\":\"T4\",\"type\":\"name\"}" Rollout 3`,
				`Update MachineDeployment spec.template.spec.infrastructureRef.name: "a"→"b" Rollout 3`,
			},
		},
		"TemplateEditedByHand": {
			reason: "restored in place: no Machine is cloned again",
			pairs: func(t *testing.T) []Pair {
				t.Helper()
				md := changed(pool(t, refA), pool(t, refA))
				md.Machines = verdicts("uuu")
				return []Pair{changed(template(t, "a", "9Gi"), template(t, "a", "4Gi")), md}
			},
			want: []string{`Update NutanixMachineTemplate spec.template.spec.memorySize: "9Gi"→"4Gi" InPlace`},
		},
		"FewerReplicas": {
			reason: "scale down removes",
			pairs:  poolPair("{replicas: 5}", "{replicas: 3}", "uuuuu"),
			want:   []string{`Update MachineDeployment spec.replicas: "5"→"3" Remove 2`},
		},
		"MoreReplicas": {
			reason: "scale up is in place",
			pairs:  poolPair("{replicas: 2}", "{replicas: 3}", "uu"),
			want:   []string{`Update MachineDeployment spec.replicas: "2"→"3" InPlace`},
			words:  "adds 1 machine",
		},
		"PoolRemoved": {
			reason: "its machines go",
			pairs:  gone("MachineDeployment", "{replicas: 3}", "uuu"),
			want:   []string{`Delete MachineDeployment : ""→"deleted" Remove 3`},
			words:  "removes the pool with 3 machines",
		},
		"PoolRemovedWhileAMachineIsReplaced": {
			reason: "a health check at work does not stale the digest",
			pairs:  gone("MachineDeployment", "{replicas: 3}", "uu"),
			want:   []string{`Delete MachineDeployment : ""→"deleted" Remove 3`},
		},
		"PoolAdded": {
			reason: "new machines only",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return Pair{Want: pool(t, "{replicas: 3}")}
			}),
			want: []string{`Create MachineDeployment : ""→"sha256:…" InPlace`},
		},
		"AutoscaledRolls":         {reason: "counted with its maximum", pairs: auto("rrr"), want: rollAtMost, words: "up to 9 machines"},
		"AutoscaledRollsPartly":   {reason: "counted with its maximum", pairs: auto("ruuuu"), want: rollAtMost},
		"AutoscaledRollsNotKnown": {reason: "counted with its maximum", pairs: auto(""), want: rollAtMost},
		"AutoscaledDoesNotRoll": {
			reason: "Cluster API says that none is re-created", pairs: auto("uuu"),
			want: []string{`Update MachineDeployment spec.template.spec.infrastructureRef.name: "a"→"b" InPlace`},
		},
		"AutoscalingBounds": {
			reason: "the autoscaler acts on it, so it is more than a label",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return changed(autoscaledPool(t, "9", "{replicas: 3}"), autoscaledPool(t, "7", "{replicas: 3}"))
			}),
			want: []string{
				`Update MachineDeployment metadata.annotations[cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size]: "9"→"7" InPlace`,
			},
		},
		"RolledAtATime": {
			reason: "CAPI's verdict is about now, the machines go later",
			pairs:  poolPair("{replicas: 3}", `{replicas: 3, rollout: {after: "2030-01-01T00:00:00Z"}}`, "uuu"),
			want:   []string{`Update MachineDeployment spec.rollout.after: ""→"2030-01-01T00:00:00Z" Rollout 3`},
		},
		"NoLongerRolledAtATime": {
			reason: "taking the time away re-creates nothing",
			pairs:  poolPair(`{replicas: 3, rollout: {after: "2030-01-01T00:00:00Z"}}`, "{replicas: 3}", "uuu"),
			want:   []string{`Update MachineDeployment spec.rollout.after: "2030-01-01T00:00:00Z"→"" InPlace`},
		},
		"OldBeforeNew": {
			reason: "machines may be missing meanwhile",
			pairs: poolPair("{replicas: 2, template: {spec: {version: a}}, rollout: {strategy: {rollingUpdate: {maxUnavailable: 1}}}}",
				"{replicas: 2, template: {spec: {version: b}}, rollout: {strategy: {rollingUpdate: {maxUnavailable: 1}}}}", "rr"),
			want:  []string{`Update MachineDeployment spec.template.spec.version: "a"→"b" Rollout 2`},
			words: "old before new",
		},
		"LabelsOnTheTemplate": {
			reason: "propagated in place",
			pairs:  poolPair("{template: {metadata: {labels: {a: b}}}}", "{template: {metadata: {labels: {a: c}}}}", "R"),
			want:   []string{`Update MachineDeployment spec.template.metadata.labels.a: "b"→"c" InPlace`},
		},
		"StrategyTuned": {
			reason: "read only when something rolls",
			pairs:  poolPair("{rollout: {strategy: {rollingUpdate: {maxSurge: 1}}}}", "{rollout: {strategy: {rollingUpdate: {maxSurge: 2}}}}", "R"),
			want:   []string{`Update MachineDeployment spec.rollout.strategy.rollingUpdate.maxSurge: "1"→"2" InPlace`},
		},
		"StrategyTypeLetsOldMachinesGo": {
			reason: "from OnDelete to RollingUpdate, outdated machines begin to roll",
			pairs:  poolPair("{replicas: 2, rollout: {strategy: {type: OnDelete}}}", "{replicas: 2, rollout: {strategy: {type: RollingUpdate}}}", "ru"),
			want:   []string{`Update MachineDeployment spec.rollout.strategy.type: "OnDelete"→"RollingUpdate" Rollout 1`},
		},
	})
}

func TestSeverityRanks(t *testing.T) {
	order := []v1alpha1.Severity{
		v1alpha1.SeverityNone, v1alpha1.SeverityMetadata, v1alpha1.SeverityInPlace, v1alpha1.SeverityRollout,
		v1alpha1.SeverityRemove, v1alpha1.SeverityDestroy, v1alpha1.SeverityForbidden,
	}
	for i, s := range order {
		if Rank(s) != i {
			t.Errorf("Rank(%s) = %d, want %d", s, Rank(s), i)
		}
	}
	if Rank("Whatever") != Rank(v1alpha1.SeverityForbidden) {
		t.Error("a severity that this version does not know must count as the worst")
	}
}
