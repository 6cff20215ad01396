# Settings of the server are environment variables (see backend/docs/configuration.md). make passes them on:
#   make run REDIS_URL=redis://127.0.0.1:6379 SLUICE_ADDR=:8080

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
COMMIT_DATE := $(shell git log -1 --format=%cI 2>/dev/null)
export VERSION COMMIT COMMIT_DATE
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(COMMIT_DATE)

# Not in a go.mod: the dependencies of a tool are not those of the programs.
ACTIONLINT := go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GORELEASER := go run github.com/goreleaser/goreleaser/v2@v2.15.1
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

# Ctrl-C closes all connections fast: reconnects of the clients cannot overload another gateway here.
run dev-server: export SLUICE_DRAIN ?= 1s

.PHONY: run
run: server $(WEB) ## Serve the built app and events, with demo feeds unless REDIS_URL is set
	@backend/bin/server --web-dir frontend/dist $(if $(REDIS_URL),,--demo)

.PHONY: dev
dev: ## Serve events on port 4000 and the app with live reload on port 5173
	@$(MAKE) --no-print-directory --jobs 2 dev-server dev-web

.PHONY: dev-server dev-web
dev-server: server
	@backend/bin/server $(if $(REDIS_URL),,--demo)
dev-web: $(NODE_MODULES)
	@cd frontend && npm run dev -- --clearScreen false

.PHONY: build
build: server $(WEB) ## Build the programs into backend/bin and the app into frontend/dist

# Go rebuilds only changed packages.
.PHONY: server
server:
	@cd backend && go build -tags nomsgpack -ldflags "$(LDFLAGS)" -o bin/ ./cmd/...

# Folders are dependencies too: their time changes when a file is removed.
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

# Another server than the redis-server in PATH: make test-redis SLUICE_REDIS_SERVER=valkey-server
.PHONY: test-redis
test-redis: test-programs ## Run only the Go tests that depend on the version of Redis
	cd backend && go test -race -shuffle=on ./internal/source/... ./internal/test/faults

# valkey-server is optional: its package starts a server on the port of Redis.
.PHONY: test-valkey
test-valkey: ## Run the Go tests of Redis with Valkey if it is installed
	@if command -v valkey-server >/dev/null; then \
		$(MAKE) --no-print-directory test-redis SLUICE_REDIS_SERVER=valkey-server; \
	else \
		echo "valkey-server is not installed: tests skipped"; \
	fi

.PHONY: test-frontend
test-frontend: $(NODE_MODULES) ## Run the unit tests of the frontend
	cd frontend && npm test

.PHONY: test-browser
test-browser: test-programs build ## Drive the app in a browser against the server
	cd frontend && SLUICE_SERVER="$(CURDIR)/backend/bin/server" npm run test:e2e

.PHONY: test-deploy
test-deploy: test-programs ## Check the documentation, docker-compose.yml and the examples for Prometheus, Grafana and systemd
	cd .ci/tools && go test ./...

.PHONY: screenshots
screenshots: test-programs build ## Render every screen into frontend/test-results and update those of README.md
	cd frontend && SLUICE_SERVER="$(CURDIR)/backend/bin/server" npm run screenshots
	cp frontend/test-results/screenshots/analytics-desktop-dark.png .github/analytics.png
	cp frontend/test-results/screenshots/logs-desktop-light.png .github/logs.png

# The race detector needs a C compiler. The tests need a real Redis, real proxies and a real browser. systemd is
# needed only for systemd-analyze, so systems without apt-get may lack it. In a container the package starts no
# service.
.PHONY: test-programs
test-programs:
	@missing=; \
	command -v gcc >/dev/null || missing="gcc libc6-dev"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	PATH=$$PATH:/usr/sbin command -v nginx >/dev/null || missing="$$missing nginx"; \
	command -v caddy >/dev/null || missing="$$missing caddy"; \
	command -v python3 >/dev/null || missing="$$missing python3"; \
	command -v "$${CHROMIUM_PATH:-chromium}" >/dev/null || missing="$$missing chromium"; \
	command -v systemd-analyze >/dev/null || ! command -v apt-get >/dev/null || missing="$$missing systemd"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "The tests need these installed:" $$missing "(or CHROMIUM_PATH set to a browser)" >&2; exit 1; \
	fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing

.PHONY: soak
soak: test-programs ## Load and audit two gateways with a fault every minute, for SOAK=1h
	cd backend && go test -tags soak -run TestSoak -v -count=1 -timeout 0 ./internal/test/faults

# benchstat reads the output of bench-go. For more and longer measurements:
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

# Publishes nothing. goreleaser makes the archives, npm the package of the client.
.PHONY: release-dry-run
release-dry-run: $(WEB) ## Make the files of a release in backend/dist, and try them
	$(GORELEASER) check
	$(GORELEASER) release --snapshot --clean
	cd frontend && npm pack --silent --workspace packages/client --pack-destination ../backend/dist
	cd .ci/tools && go test -tags release -run TestRelease -count=1 .

.PHONY: lint
lint: $(NODE_MODULES) ## Check style, types, package dependencies and known vulnerabilities
	cd backend && go mod tidy -diff && $(GOLANGCI) run
	cd backend && for platform in linux/arm64 darwin/arm64 windows/amd64; do \
		echo "go vet for $$platform" && GOOS=$${platform%/*} GOARCH=$${platform#*/} go vet ./... || exit 1; \
	done
	cd backend/benchmarks && go mod tidy -diff && $(GOLANGCI) run --config ../.golangci.yml
	cd .ci/tools && go mod tidy -diff && go vet ./...
	$(ACTIONLINT)
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
up-production: ## Start the production setup in Docker: the built app and events on port 4000
	docker compose --profile production up --build

.PHONY: down
down: ## Stop all containers
	docker compose --profile '*' down
