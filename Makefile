# What can be done here. "make check" is what CI runs, see .ci/run.

GO        ?= go
FUZZTIME  ?= 3s
BENCHTIME ?= 1s
METERS    ?= 10000
export GO

# The steps of "make check". The tests come last, so that their output does.
STEPS = format vet static rules tidy generated vuln fuzz race

.PHONY: help demo test acceptance fleet kills network away screenshots billing bench check $(STEPS)
.NOTPARALLEL:

help:
	@echo 'make demo       run the whole platform here, up to verified bills'
	@echo 'make test       run all tests'
	@echo 'make acceptance bill all of the real homes in WATTVEIL_DATA, some minutes'
	@echo 'make fleet      run METERS=10000 meters on one collector, without and with TLS, and print what they cost, some minutes'
	@echo 'make kills      kill the processes of all parties at 200 moments, about 6 minutes'
	@echo 'make network    run them over links that lose 30 % and are cut, about 40 minutes; needs namespaces'
	@echo 'make away       take the TTP away for a week of a second a quarter, about 13 minutes'
	@echo 'make screenshots picture every page of the portal into ./screenshots'
	@echo 'make billing    bill 100,000 meters, kill the run and go on, some 15 minutes'
	@echo 'make check      run what CI runs: $(STEPS)'
	@echo 'make bench      run the benchmarks, with allocations'

demo:
	$(GO) run ./cmd/wattveil demo

test:
	$(GO) test -timeout 40m ./...

acceptance:
	WATTVEIL_FULL=1 $(GO) test -count=1 -v -run TestRealHomes -timeout 40m ./cmd/wattveil

fleet:
	WATTVEIL_FLEET=$(METERS) $(GO) test -count=1 -v -run TestFleet -timeout 90m ./cmd/wattveil

# Shorter forms of these three are part of "make test". WATTVEIL_SEED repeats a run.
FIELD = WATTVEIL_FULL=1 $(GO) test -count=1 -v -timeout 90m ./internal/field

kills:
	$(FIELD) -run TestKills

network:
	$(FIELD) -run TestBadNetwork

away:
	$(FIELD) -run TestAwayForAWeek

screenshots:
	WATTVEIL_SCREENSHOTS=$(CURDIR)/screenshots $(GO) test -count=1 -v -run TestScreenshots ./ttp

billing:
	WATTVEIL_FULL=1 $(GO) test -count=1 -v -run 'TestBilling$$' -timeout 90m ./cmd/wattveil

bench:
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

check:
	@for step in $(STEPS); do \
		echo "== $$step"; \
		start=$$(date +%s); \
		$(MAKE) --no-print-directory $$step || exit 1; \
		echo "== $$step: $$(($$(date +%s) - start)) s"; \
	done

format:
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; }

vet:
	$(GO) vet ./...

static:
	$(GO) tool staticcheck ./...

rules:
	$(GO) test -count=1 ./internal/deptest

tidy:
	$(GO) mod tidy -diff

generated:
	.ci/generated

vuln:
	.ci/vuln

fuzz:
	.ci/fuzz $(FUZZTIME)

race:
	$(GO) test -race -timeout 40m ./...
