# make check does all that a fresh machine needs and runs every test.

GO ?= go

# A module of its own that users import; the others are programs that only tests and benchmarks build.
nested = gateway/pionwebrtc

.PHONY: check setup lint vuln test e2e fuzz bench bench-dns bench-extension extension

check: setup lint test e2e vuln

# The programs that the tests use: real browsers, resolvers and responders, network namespaces.
setup:
	scripts/setup.sh

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOARCH=386 $(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) -C $(nested) vet ./...
	GOOS=windows $(GO) -C $(nested) vet ./...
	GOOS=darwin $(GO) -C $(nested) vet ./...
	GOARCH=386 $(GO) -C $(nested) vet ./...
	staticcheck=$$($(GO) tool -n staticcheck) && cd $(nested) && "$$staticcheck" ./...
	cd extension && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run check

# The packages of the browser extension, in dist: the same octets for the same files.
extension:
	$(GO) run ./extension/pack extension dist

vuln:
	scripts/vulncheck.sh

test:
	$(GO) test -race -count=1 ./...
	# What the race detector changes, or makes too slow to be done whole.
	$(GO) test -count=1 -run 'Allocations|TestGuesses' ./gateway
	$(GO) -C $(nested) test -race -count=1 ./...

# Browsers and other peers on networks of their own; wants root, for network namespaces.
e2e:
	scripts/as-root.sh env CANDGW_E2E=1 $(GO) test -count=1 -timeout 60m -v ./internal/e2e

# Each fuzz target for FUZZTIME; the seeds alone run with every test.
FUZZTIME ?= 30s
fuzz:
	scripts/fuzz.sh $(FUZZTIME)

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./cipher ./gateway ./policy ./resolver

# candgw beside Knot DNS, NSD, Unbound, CoreDNS and others: bench/README.md. Wants two idle cores and some ten minutes.
bench-dns:
	$(GO) run ./bench

# What the browser extension costs, with and without it in turns: as the end-to-end test of it, with more samples.
bench-extension:
	scripts/as-root.sh env CANDGW_E2E=1 $(GO) test -count=1 -v -run '^TestExtensionCost$$' ./internal/e2e -samples 400
