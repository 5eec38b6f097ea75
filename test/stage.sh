#!/bin/sh
# Runs the tests in stages and prints how long each took. Usage: test/stage.sh all|world|race|unit|live|fuzz|proof ...
# all leaves out proof.
# A stage that fails does not keep the next ones from running, but for the world, without which nothing starts.
set -u
cd "$(dirname "$0")/.." || exit 1
module=$(sed -n 's/^module //p' go.mod)
# nproc knows of fewer cores that a process is held to, and is not everywhere.
cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# Every package with tests belongs to exactly one stage: proofs before live tests, and what no other stage claims is a
# unit test.
race_packages="^$module/(render|gitsource)(/|$)"
live_packages="^$module/(controllers|test/(api|world|controlplane|e2e|demo|fleets|drift|metrics|webhook))(/|$)"
proof_packages="^$module/test/(accounts|adopt|bench|canary|chart|crash|docs|drift/live|equivalence|faults|flavors|fleets/reviewed|gitea|machines|review|soak|truth|upgrade)(/|$)"
# What takes longest starts first, so that no core waits for it in the end.
long_packages="/(test/machines|test/accounts|accounts/live|test/faults|test/soak|test/truth|test/drift|test/e2e|controllers/kube|fleets/deletion|drift/live|test/world|adopt|crash/live|test/crash|test/docs|test/review|upgrade)$"

packages() {
	go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep -E "$@"
}

# make lint runs go vet on everything; go test would do so again on every dependency.
go_test='go test -vet=off'

# Results come from Go's test cache where nothing that they depend on has changed. It sees what the tests' own process
# opens: with it the sources of the world's programs, which name them, and what a test says it uses (rig.Uses). Programs
# that somebody else built, and proofs, are run anew each time.
anew=
[ -z "${KUBEBUILDER_ASSETS:-}" ] || anew=-count=1

run_world() { go run ./test/controlplane/build; }
run_race() { packages "$race_packages" | xargs -r $go_test -race -timeout 15m; }
run_unit() {
	packages -v "$race_packages|$live_packages|$proof_packages" | xargs -r $go_test -timeout 10m || return 1
	# Modules of their own; the last is compiled as the world's builder does it, to find that work done.
	(cd config/image && $go_test -timeout 10m .) || return 1
	(cd test/metrics/rules && $go_test -timeout 10m .) || return 1
	(cd test/controlplane/workload && CGO_ENABLED=0 go test -trimpath -buildvcs=false '-gcflags=all=-dwarf=false -l' .)
}
# run_worlds tests the packages that it reads: run_worlds TIMEOUT [FLAG]. A world waits more than it computes: half as
# many again as there are cores keep them busy.
run_worlds() {
	cat >"$scratch/worlds"
	{ grep -E "$long_packages" "$scratch/worlds"; grep -vE "$long_packages" "$scratch/worlds"; } |
		xargs -r $go_test $2 -timeout "$1" -p $((cores * 3 / 2))
}
run_live() { packages "$live_packages" | grep -vE "$proof_packages" | run_worlds 30m "$anew"; }
# REFRACT_PROOF=full has the crash matrix try every write, and the image be built twice from nothing.
run_proof() {
	packages "$proof_packages" | run_worlds "${PROOF_TIMEOUT:-30m}" -count=1 || return 1
	[ "${REFRACT_PROOF:-}" != full ] || (cd config/image && $go_test -count=1 -timeout 90m .)
}

# Fuzz targets are found by their names, built first and then run side by side, one core each. Only our own code is
# instrumented, as go test -fuzz does it with every dependency: what libraries do is not what guides the search, and
# the targets run many times faster.
run_fuzz() {
	grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . |
		sed 's|^\(.*\)/[^/]*:func \(.*\)$|\1 \2|' | sort -u >"$scratch/targets"
	[ -s "$scratch/targets" ] || return 0
	for dir in $(cut -d' ' -f1 "$scratch/targets" | sort -u); do
		name=$(echo "$dir" | tr '/.' '__')
		$go_test -c "-gcflags=$module/...=-d=libfuzzer" -o "$scratch/$name.test" "$dir" || return 1
	done
	xargs -P "$cores" -n 2 "$0" fuzz-one "$scratch" <"$scratch/targets"
}

# The corpus that a run grows stays in Go's cache, as with go test; a failing input is written below the package.
fuzz_one() {
	binary="$1/$(echo "$2" | tr '/.' '__').test"
	log="$1/$3.log"
	cache=$(go env GOCACHE)/fuzz/$module/${2#./}
	if (cd "$2" && "$binary" -test.run='^$' -test.fuzz="^$3\$" -test.fuzztime="${FUZZTIME:-30s}" \
		-test.fuzzminimizetime=1s -test.parallel=1 -test.fuzzcachedir="$cache") >"$log" 2>&1 || only_late "$log"; then
		printf 'ok  \t%s %s\t%s\n' "$2" "$3" "$(sed -n 's/^fuzz: elapsed: //p' "$log" | tail -n 1)"
	else
		printf -- '--- FAIL: %s %s\n' "$2" "$3"
		cat "$log"
		return 1
	fi
}

# only_late says whether a run failed by nothing but its end: Go calls it a failure when a worker is in the middle of an
# input as the time runs out (a race in its fuzzing
# coordinator). A real finding names its input.
only_late() { grep -q '^ *context deadline exceeded$' "$1" && ! grep -q 'Failing input written' "$1"; }

stage() {
	printf '\n=== stage %s\n' "$1"
	begin=$(date +%s)
	if "run_$1"; then result=ok; else
		result=FAILED
		failed="$failed $1"
	fi
	printf '=== stage %s: %s, %s s\n' "$1" "$result" "$(($(date +%s) - begin))"
}

if [ "${1:-}" = fuzz-one ]; then
	trap - EXIT
	rmdir "$scratch"
	fuzz_one "$2" "$3" "$4"
	exit
fi

failed=
[ "${1:-all}" = all ] && set -- world race unit live fuzz
start=$(date +%s)
for name in "$@"; do
	stage "$name"
	[ "$name$failed" = "world world" ] && break
done
printf '\n=== all stages: %s s\n' "$(($(date +%s) - start))"
[ -z "$failed" ] || {
	printf 'failed:%s\n' "$failed" >&2
	exit 1
}
