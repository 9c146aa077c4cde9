# tquiclab: `make help` says what there is.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
FUZZTIME ?= 10s
BENCH    ?= .
SEEDS    ?= 1..10000
SAMPLE   ?= 0
ROUNDS   ?= 5
# Namespaces need root. Builds never run as root when the caller is not.
ROOT     := $(if $(filter 0,$(shell id -u)),,sudo -E env "PATH=$(PATH):/usr/sbin:/sbin")
# A checkout that git cannot read (another owner, no git) still builds, without a revision.
STAMP    := $(if $(shell git rev-parse --verify -q HEAD 2>/dev/null),true,false)

.PHONY: help setup build demo test check fuzz seeds wsp bond failover failover-lab rivals bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what building and testing need (Debian packages, only those missing)
	@.ci/setup

build: ## build bin/tquiclab, static, with its version and revision inside
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(STAMP) -o bin/tquiclab ./cmd/tquiclab

demo: ## a real run on the topology lte-wifi: about two minutes, ends with its table
	@.ci/setup demo
	@$(MAKE) --no-print-directory build
	$(ROOT) ./bin/tquiclab run lte-wifi --duration 4s --rounds 3 --out "runs/demo-$$(date +%Y%m%d-%H%M%S)"

test: setup ## every test, as root, with the race detector
	$(GO) test -race -shuffle=on -timeout 20m $(if $(ROOT),-exec '$(ROOT)') ./... 2>&1 | .ci/summary

check: ## formatting, vet, staticcheck, go.mod, import walls
	@.ci/check

fuzz: ## each fuzz target for FUZZTIME (10s)
	@.ci/fuzz $(FUZZTIME)

seeds: ## seeded simulations of whole connections, 10,000 of them; SEEDS=first..last selects
	$(GO) test ./engine/sim -count=1 -timeout 60m -run '^TestSeeds$$' -seeds=$(SEEDS)

wsp: ## bonding over 4 x 253 pairs of paths, in virtual time: ten to twenty minutes; SAMPLE=n takes n runs a class
	$(GO) run ./cmd/breadth wsp -sample $(SAMPLE) -out wsp.jsonl

bond: ## bonding over each topology of the catalogue with several paths, in virtual time; ROUNDS=n
	$(GO) run ./cmd/breadth catalog -rounds $(ROUNDS)

failover: ## links that go black or down, in virtual time: how long the stream stands still, when they are used again; ROUNDS=n
	$(GO) run ./cmd/breadth failover -rounds $(ROUNDS)

failover-lab: build ## the same in the lab, tquic and kernel MPTCP: a minute and a half a round; ROUNDS=n
	out="runs/failover-$$(date +%Y%m%d-%H%M%S)"; \
	$(ROOT) ./bin/tquiclab run failover --rounds $(ROUNDS) --out "$$out" && $(GO) run ./cmd/breadth failover "$$out"

# Topologies with several paths on which tquic and kernel MPTCP both run.
RIVALS   ?= lte-wifi lte-wifi-lossless lte-wifi-ethernet dual-lte 5g-wifi fiber-lte starlink-lte dsl-lte shared-bottleneck v6-only four-path wifi-ethernet \
            mtu-1200 mtu-1500 mtu-9000 direct-2 $(patsubst topologies/catalog/%.yaml,%,$(wildcard topologies/catalog/bench/*.yaml))

rivals: build ## tquic against kernel MPTCP in the lab, on each topology of RIVALS, a minute each; ROUNDS=n
	for t in $(RIVALS); do \
	  $(ROOT) ./bin/tquiclab run $$t --engine tquic,mptcp --duration 5s --rounds $(ROUNDS) --out "runs/rivals-$$t-$$(date +%Y%m%d-%H%M%S)"; \
	done

bench: ## every benchmark; BENCH=regexp selects
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(if $(ROOT),-exec '$(ROOT)') ./...

docs: build ## write the command pages in docs/ anew
	./bin/tquiclab docs docs/commands

clean: ## remove what was built; labs and results stay
	rm -rf bin
