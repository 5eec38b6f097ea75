#!/bin/sh
# Says what this machine lacks, all at once, and fails if it lacks anything. Arguments: go, git, cc.
set -u
cd "$(dirname "$0")/.." || exit 1
missing=0

lacks() {
	printf 'missing: %s\n' "$1" >&2
	missing=1
}

# The go directive of go.mod is the lowest release that builds this tree.
need_go() {
	want=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
	if ! command -v go >/dev/null 2>&1; then
		lacks "Go $want or newer on the PATH (https://go.dev/dl/)"
		return
	fi
	have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//')
	case $have in
	devel*) return ;;
	esac
	lowest=$(printf '%s\n%s\n' "$want" "$have" | sort -t. -k1,1n -k2,2n | head -n 1)
	[ "$lowest" = "$want" ] || lacks "Go $want or newer; this is Go ${have:-of unknown version} (https://go.dev/dl/)"
}

need_cc() {
	for cc in "$(go env CC 2>/dev/null)" "${CC:-}" gcc cc clang; do
		[ -n "$cc" ] && command -v "${cc%% *}" >/dev/null 2>&1 && return
	done
	lacks "a C compiler, such as gcc, for Go's race detector"
}

for tool in "$@"; do
	case $tool in
	go) need_go ;;
	cc) need_cc ;;
	*) command -v "$tool" >/dev/null 2>&1 || lacks "$tool" ;;
	esac
done
exit "$missing"
