# make help says what there is. Everything sets itself up: tools and the test world are built from pinned Go modules.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CONTROLLER_GEN := go tool -modfile=go.tools.mod controller-gen
CRD_REF_DOCS   := go tool -modfile=go.tools.mod crd-ref-docs
GOLANGCI_LINT  := go tool -modfile=go.lint.mod golangci-lint

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s

# Compilers and the many programs of a test world spend a sixth of their time on garbage; memory is cheaper.
export GOGC ?= 400

##@ Everyday

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: need ## Start a whole world with a sample fleet; ONCE=1 runs it through once and exits.
	go run ./test/demo $(if $(ONCE),--once)

.PHONY: test
test: need-cc ## Build the test world, run the tests, then each fuzz target for 30 s (FUZZTIME); make proof has the long ones.
	@test/stage.sh all

.PHONY: proof
proof: need-cc ## Prove what no test of a part can: crashes, upgrades, adoption, secrets, the documents; FULL=1 tries every crash.
	@$(if $(FULL),REFRACT_PROOF=full PROOF_TIMEOUT=180m )test/stage.sh proof

.PHONY: build
build: need ## Build bin/refract.
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/refract-dev/refract/controllers/cli.Version=$(VERSION)" -o bin/refract .

OUT ?= dist/image
.PHONY: image
image: need ## Build the container image for amd64 and arm64 into dist/image (VERSION, OUT).
	@go -C config/image run . build --source "$(CURDIR)" --out "$(abspath $(OUT))" --version "$(VERSION)"

.PHONY: image-push
image-push: need ## Push that image: IMAGE=registry.example.com/refract[:tag].
	@go -C config/image run . push --layout "$(abspath $(OUT))" "$(IMAGE)"

SIZES ?= 1,10,100,500
.PHONY: bench
bench: need-cc ## Measure what Refract costs and print the table of docs/cost.md; takes half an hour or more (SIZES=1,10,100).
	cd test/bench && GOGC=100 REFRACT_BENCH=$(SIZES) go test -count=1 -timeout 3h .

SOAK ?= 50
.PHONY: soak
soak: need-cc ## Change the VMs of 50 clusters at random behind everybody's back (SOAK); each change must be found, and none invented.
	REFRACT_SOAK=$(SOAK) go test -vet=off -count=1 -v -timeout 2h ./test/soak

.PHONY: truth
truth: need-cc ## Change every field of the API on living clusters and compare the machines that go with those that plans predict.
	REFRACT_TRUTH=full go test -vet=off -count=1 -v -timeout 3h ./test/truth

.PHONY: fuzz
fuzz: need ## Run each fuzz target for 30 s (FUZZTIME).
	@test/stage.sh fuzz

##@ Before a commit

.PHONY: fmt
fmt: need ## Format the code.
	$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: need ## Lint the code, the floor plan included.
	$(GOLANGCI_LINT) run
	cd config/image && go tool -modfile=../../go.lint.mod golangci-lint run --config ../../.golangci.yml .

.PHONY: verify
verify: need generate manifests api-docs metrics-docs ## Generate everything anew and fail if that changes a file.
	@changed=$$(git status --porcelain --untracked-files=all -- $(GENERATED)); \
	if [ -n "$$changed" ]; then \
		git --no-pager diff -- $(GENERATED); \
		printf 'Generated files are not what the sources yield:\n%s\nCommit them as they are now.\n' "$$changed" >&2; \
		exit 1; \
	fi

.PHONY: presubmit
presubmit: verify lint test proof ## What CI runs, but for the demo.

##@ Generated files

GENERATED := api config/crd config/rbac docs/reference charts/refract

.PHONY: generate
generate: need ## Generate deepcopy code.
	$(CONTROLLER_GEN) object paths=./api/...

.PHONY: manifests
manifests: need ## Generate CRDs, the operator's ClusterRole, and the chart's copies of both.
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=refract-manager paths=./... output:rbac:dir=config/rbac
	go run ./config/chart

.PHONY: api-docs
api-docs: need ## Generate the API reference.
	$(CRD_REF_DOCS) --source-path=api --log-level=ERROR --config=docs/reference/config.yaml --renderer=markdown \
		--output-path=docs/reference/api.md

.PHONY: metrics-docs
metrics-docs: need ## Generate the metrics reference.
	go test ./controllers -run '^TestMetricsReference$$' -update

# What is missing is named before anything starts.
.PHONY: need need-cc
need:
	@test/need.sh go git
need-cc:
	@test/need.sh go git cc
