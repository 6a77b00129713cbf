# Aloud. `make demo` shows it, `make test` checks it; each sets up what it needs.
# What is fetched is pinned by hash: Go modules in go.sum, npm packages in
# models/package-lock.json. Nothing is fetched again when nothing has changed.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO ?= go
NPM ?= npm
NODE ?= node
ASSETS := listen/onnx/assets/manifest.json
# Stamp the revision where git answers; a copy of the tree without it builds too.
STAMP := $(shell git rev-parse --verify -q HEAD >/dev/null 2>&1 && echo auto || echo false)
BUILD := $(GO) build -trimpath -buildvcs=$(STAMP)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## speech to bid, end to end, as a story (ARGS="--keep" leaves the server running)
	@bin/aloud demo $(ARGS)

.PHONY: test
test: check packages ## everything that must hold: check, then every test
	$(GO) tool gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg -- -p 2 -timeout 20m ./...

.PHONY: check
check: models ## formatting, vet, staticcheck, known vulnerabilities
	@scripts/check.sh

.PHONY: build
build: models ## bin/aloud: the whole binary, models inside
	$(BUILD) -o bin/aloud ./cmd/aloud

.PHONY: server
server: | prerequisites ## bin/aloud-server: the server alone, without cgo and without ears
	CGO_ENABLED=0 $(BUILD) -o bin/aloud-server ./cmd/aloud

.PHONY: models
models: $(ASSETS) ## the models and ONNX Runtime that the listener embeds

models/node_modules/.package-lock.json: models/package.json models/package-lock.json | prerequisites
	cd models && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(ASSETS): models/node_modules/.package-lock.json models/assets.mjs models/decoder.mjs go.mod
	cd models && $(NODE) assets.mjs

.PHONY: packages
packages: ## the programs that some tests drive (installs them as root, else prints the line)
	@scripts/packages.sh

.PHONY: bench
bench: build ## the long measurements, with the bars that must hold
	@scripts/bench.sh $(ARGS)

.PHONY: fuzz
fuzz: models ## every fuzz test for a little while (FUZZTIME=10s)
	@scripts/fuzz.sh $${FUZZTIME:-10s}

.PHONY: race
race: models ## the tests under the race detector
	$(GO) test -race -short -p 2 -timeout 25m ./...

.PHONY: fmt
fmt: ## format all Go files
	@$(GO) tool gofumpt -w $$(git ls-files '*.go')

.PHONY: licences
licences: | prerequisites ## the licence of every module in the binary
	@scripts/licences.sh

.PHONY: licences-text
licences-text: | prerequisites ## their licence files, to go along with a binary
	@scripts/licences.sh --text

.PHONY: clips
clips: ## make the demo's clips again with flite, espeak-ng, sox and oggenc
	@scripts/demo-clips.sh

.PHONY: picture
picture: build ## draw docs/demo.svg again from a real run of the demo
	@scripts/picture.sh

.PHONY: clean
clean: ## remove what was built; the npm packages stay
	rm -rf bin .demo listen/onnx/assets/manifest.json

.PHONY: prerequisites
prerequisites:
	@scripts/prerequisites.sh
