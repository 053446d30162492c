# Needs Go (the version in go.mod), make and git; each target works offline after its first run.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X github.com/hanse-federation/hanse/cmd/cli.version=$(VERSION)

# The race detector needs a C compiler and builds every dependency anew: it is run for the packages that have goroutines
# of their own and can do without k8s.io/kubernetes.
RACE = ./placement/... ./dns/... ./federation/...

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# All of staticcheck, without what contradicts how this code is written:
#   ST1000  a package's comment stands in its doc.go; cmd/hub/imports_test.go checks that there is one
#   ST1005  errors may end with a sentence for people that says what to do next
#   ST1020, ST1021, ST1022  a comment may begin with the deed instead of the name
#   QF*     quick fixes are suggestions for an editor
CHECKS = all,-ST1000,-ST1005,-ST1020,-ST1021,-ST1022,-QF*

.DEFAULT_GOAL = help
.PHONY: help build test race mutate demo e2e e2e-kind bench bench-dns lint generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/hanse, the one binary
	go build -ldflags '$(LDFLAGS)' -o bin/hanse ./cmd/hanse

test: ## unit tests; no cluster is needed
	go test ./...

race: ## unit tests of what has goroutines, with the race detector (needs gcc)
	CGO_ENABLED=1 go test -race $(RACE)

# Gremlins changes one operator or number after the other and runs the package's tests: a mutant that lives is a line
# that no test defends.
GREMLINS = github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0

mutate: ## mutation testing of one package, such as: make mutate PKG=placement
	@test -n "$(PKG)" || { echo "mutate: which package? For example: make mutate PKG=placement"; exit 1; }
	go run $(GREMLINS) unleash --workers 1 --timeout-coefficient 10 ./$(PKG)

demo: ## a hub and three members on this machine, an application over all of them
	@echo "demo: building; the first time this takes minutes, most of them for the members' control plane"
	cd e2e && go run ./cmd/demo

e2e: ## scenarios against real control planes (the first run builds them)
	@echo "e2e: building the tests; the first run also builds the members' control plane and takes minutes"
	cd e2e && go test -timeout 45m ./...

e2e-kind: ## the same scenarios on kind clusters with real kubelets (needs Docker)
	@docker version --format 'e2e: on kind, Docker {{.Server.Version}}' || \
		{ echo "e2e: Docker does not answer; make e2e needs none"; exit 1; }
	cd e2e && E2E_PROVIDER=kind go test -timeout 90m ./...

bench: ## what the engine and the DNS server can do, and the hub against a plain client where e2e/cmd/bench is
	go test -run '^$$' -bench . -benchmem ./placement/... ./dns/...
	$(if $(wildcard e2e/cmd/bench),cd e2e && go run ./cmd/bench)

bench-dns: ## the DNS server against gdnsd, Knot, NSD, BIND (Debian packages) and a plain miekg/dns server
	cd e2e && go run ./cmd/benchdns

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); test -z "$$unformatted" || \
		{ printf '%s\nlint: gofmt -w the files above\n' "$$unformatted"; exit 1; }
	go vet ./...
	cd e2e && go vet ./...
	go run $(STATICCHECK) -checks '$(CHECKS)' ./...

generate: ## the generated files: deep copies and CRDs of api/v1alpha1, tables of native kinds
	go generate ./...

clean: ## bin/, with the control planes that the scenarios built
	rm -rf bin
