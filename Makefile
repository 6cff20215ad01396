# Settings of the server are environment variables (see README.md); make passes on those that it is given:
#   make run REDIS_URL=redis://127.0.0.1:6379 SLUICE_ADDR=:8080

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export VERSION

# Not in a go.mod, since what a linter needs is no business of the programs.
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

NODE_MODULES := frontend/node_modules/.package-lock.json
WEB := frontend/dist/index.html

TUTORIAL := backend/benchmarks/servers/tutorial
BENCH_COUNT ?= 1
BENCH_TIME ?= 200ms
BENCH_FLAGS ?= --rounds 1

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

# There is no other node here that a sudden move of all clients could hurt, so that Ctrl-C need not take long.
run dev-server: export SLUICE_DRAIN ?= 1s

.PHONY: run
run: server $(WEB) ## Serve the built app and events, with demo feeds unless REDIS_URL is set
	@backend/bin/server --web-dir frontend/dist $(if $(REDIS_URL),,--demo)

.PHONY: dev
dev: ## Serve events on port 4000, and the app with live reload on port 5173
	@$(MAKE) --no-print-directory --jobs 2 dev-server dev-web

.PHONY: dev-server dev-web
dev-server: server
	@backend/bin/server $(if $(REDIS_URL),,--demo)
dev-web: $(NODE_MODULES)
	@cd frontend && npm run dev -- --clearScreen false

.PHONY: build
build: server $(WEB) ## Build the programs into backend/bin and the app into frontend/dist

# Go knows what is up to date.
.PHONY: server
server:
	@cd backend && go build -tags nomsgpack -ldflags "-X main.version=$(VERSION)" -o bin/ ./cmd/...

# A folder counts too: its date tells that a file was removed.
$(WEB): $(NODE_MODULES) $(shell find frontend/src frontend/public frontend/packages/client/src) $(wildcard frontend/*.html frontend/*.json frontend/*.ts)
	cd frontend && npm run build
	@touch $@

$(NODE_MODULES): frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund
	@touch $@

.PHONY: test
test: test-backend test-valkey test-frontend test-browser test-deploy ## Run all tests

.PHONY: test-backend
test-backend: test-programs ## Run the Go tests
	cd backend && go test -race -shuffle=on ./...
	cd backend/benchmarks && go test ./...
	cd backend && go test -run '^TestBudget_' ./internal/delivery ./internal/event ./internal/httpapi ./internal/hub ./internal/journal

# Not in the list of what is installed: its package starts a server on the port of Redis.
.PHONY: test-valkey
test-valkey: test-programs ## Run the Go tests of Redis with Valkey, where that is installed
	@if command -v valkey-server >/dev/null; then \
		cd backend && SLUICE_REDIS_SERVER=valkey-server go test -race -shuffle=on ./internal/source/... ./internal/test/faults; \
	else \
		echo "valkey-server is not installed: nothing is tested with it"; \
	fi

.PHONY: test-frontend
test-frontend: $(NODE_MODULES) ## Run the tests of the app's parts
	cd frontend && npm test

.PHONY: test-browser
test-browser: test-programs build ## Drive the app in a browser against the server
	cd frontend && SLUICE_SERVER="$(CURDIR)/backend/bin/server" npm run test:e2e

.PHONY: test-deploy
test-deploy: test-programs ## Check docker-compose.yml, and the examples for Prometheus, Grafana and systemd
	cd .ci/tools && go test ./...

.PHONY: screenshots
screenshots: test-programs build ## Draw every screen into frontend/test-results, and those of README.md
	cd frontend && SLUICE_SERVER="$(CURDIR)/backend/bin/server" npm run screenshots
	cp frontend/test-results/screenshots/analytics-desktop-dark.png .github/analytics.png
	cp frontend/test-results/screenshots/logs-desktop-light.png .github/logs.png

# The race detector needs a C compiler, the tests a real Redis, real proxies and a real browser. systemd is for its
# systemd-analyze alone, so that systems without apt-get may go without: many of them have another init. Installed in a
# container it starts nothing, and a Debian that runs on it has it.
.PHONY: test-programs
test-programs:
	@missing=; \
	command -v gcc >/dev/null || missing="gcc libc6-dev"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	PATH=$$PATH:/usr/sbin command -v nginx >/dev/null || missing="$$missing nginx"; \
	command -v caddy >/dev/null || missing="$$missing caddy"; \
	command -v "$${CHROMIUM_PATH:-chromium}" >/dev/null || missing="$$missing chromium"; \
	command -v systemd-analyze >/dev/null || ! command -v apt-get >/dev/null || missing="$$missing systemd"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "The tests need these installed:" $$missing "(or CHROMIUM_PATH set to a browser)" >&2; exit 1; \
	fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing

.PHONY: soak
soak: test-programs ## Load and audit two gateways while something breaks every minute, for SOAK=1h
	cd backend && go test -tags soak -run TestSoak -v -count=1 -timeout 0 ./internal/test/faults

# The output of the first is what benchstat reads. More and longer measurements:
#   make bench BENCH_COUNT=10 BENCH_FLAGS=--full
.PHONY: bench bench-go bench-compare
bench: bench-go bench-compare ## Run the Go benchmarks, and compare the server with others
bench-go:
	cd backend && go test -run '^$$' -bench . -benchmem -benchtime $(BENCH_TIME) -count $(BENCH_COUNT) ./internal/...
bench-compare: server $(TUTORIAL)/node_modules/.package-lock.json
	@cd backend/benchmarks && go build -o ../bin/benchmarks . && go build -o ../bin/baselines/gin ./servers/gin
	@backend/bin/benchmarks compare $(BENCH_FLAGS) sluice=backend/bin/server gin=backend/bin/baselines/gin 'tutorial=node $(TUTORIAL)/server.js'

$(TUTORIAL)/node_modules/.package-lock.json: $(TUTORIAL)/package-lock.json
	cd $(TUTORIAL) && npm ci --no-audit --no-fund
	@touch $@

.PHONY: lint
lint: $(NODE_MODULES) ## Check style, types, the arrows between packages, and known vulnerabilities
	cd backend && go mod tidy -diff && $(GOLANGCI) run
	cd backend && for platform in linux/arm64 darwin/arm64 windows/amd64; do \
		echo "go vet for $$platform" && GOOS=$${platform%/*} GOARCH=$${platform#*/} go vet ./... || exit 1; \
	done
	cd backend/benchmarks && go mod tidy -diff && $(GOLANGCI) run --config ../.golangci.yml
	cd .ci/tools && go mod tidy -diff && go vet ./...
	cd frontend && npm run lint
	@.ci/vulnerabilities

.PHONY: fmt
fmt: $(NODE_MODULES) ## Format all sources
	cd backend && $(GOLANGCI) fmt
	cd backend/benchmarks && $(GOLANGCI) fmt --config ../.golangci.yml
	cd frontend && npm run fmt

.PHONY: up
up: ## Start the demo in Docker: app on port 5173, events on port 4000
	docker compose up --build

.PHONY: up-production
up-production: ## Start it in Docker as in production: the built app and events on port 4000
	docker compose --profile production up --build

.PHONY: down
down: ## Stop what runs in Docker
	docker compose --profile '*' down
