# `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help

CARGO ?= cargo
CACHE := $(or $(TENIOS_TEST_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tenios-operator)
DENY_VERSION := 0.20.2
DENY := $(CACHE)/tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: control-plane ## From kubectl apply to a phone number, on this machine; KEEP=1 leaves it running
	@echo "building the operator (about 3 minutes the first time)"
	@$(CARGO) test --quiet --locked --test demo

.PHONY: check
check: ## The fast lane while editing: formatting, clippy, and the tests that need no cluster, without the model
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --locked --all-targets -- -D warnings
	$(CARGO) test --quiet --locked --test pure -- --skip exhaustive::

.PHONY: test
test: control-plane deploy-tools s3 ## Run every test, from the pure ones to those on a real control plane
	$(CARGO) test --locked --no-fail-fast

.PHONY: picture
picture: control-plane prometheus ## Draw docs/images/dashboard.svg from a run
	DASHBOARD_PICTURE=write $(CARGO) test --quiet --locked --test e2e panel

.PHONY: faults
faults: control-plane s3 ## Break something at every request of every scenario; ONLY='scenario/request/action' replays one
	$(CARGO) build --release --locked --package tenios-operator
	@mkdir -p target/faults && rm -f target/faults/others.ended
	[ -n "$(ONLY)" ] || MODEL=all PUSH_MUTATIONS=200000 PROPTEST_CASES=50000 $(CARGO) test --locked --no-fail-fast --lib --test pure --test simulator --test cluster -- \
		--nocapture exhaustive:: queue::model:: fold:: attack:: secrecy:: tenants:: poison:: > target/faults/others.txt 2>&1 \
		&& echo ended well > target/faults/others.ended || cat target/faults/others.txt
	TENIOS_OPERATOR=$(CURDIR)/target/release/tenios-operator FAULTS=all $(CARGO) test --locked --test faults
	@[ -n "$(ONLY)" ] || [ -f target/faults/others.ended ] || { echo "a test beside the fault runs failed: see target/faults/others.txt"; exit 1; }

.PHONY: e2e
e2e: control-plane deploy-tools prometheus ## Test what others get: the image, the plugin, a release, alerts and dashboard with a real Prometheus
	$(CARGO) test --locked --test e2e

.PHONY: mutants
mutants: control-plane ## Change the code that decides, one place at a time, and look whether a test notices; takes hours
	@command -v cargo-mutants >/dev/null || { echo "needs cargo-mutants: cargo install --locked cargo-mutants" >&2; exit 1; }
	$(CARGO) mutants --config tests/mutants.toml --output target

.PHONY: lint
lint: $(DENY) ## Check formatting, clippy's warnings, and the dependencies' licences and sources
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets --test e2e --test demo -- -D warnings
	$(DENY) --locked check --hide-inclusion-graph bans licenses sources

.PHONY: advisories
advisories: $(DENY) ## Look whether a vulnerability is known in what is linked in; needs the network
	$(DENY) --locked check --hide-inclusion-graph advisories

.PHONY: crds
crds: ## Generate crds/ from src/api
	@mkdir -p crds
	$(CARGO) run --quiet --locked --bin tenios-operator -- crds > crds/tenios.dev.yaml.new
	mv crds/tenios.dev.yaml.new crds/tenios.dev.yaml
	cp crds/tenios.dev.yaml deploy/chart/files/crds.yaml

.PHONY: monitoring
monitoring: ## Generate the PrometheusRule, and the chart's copies, from deploy/monitoring
	{ printf '%s\n' '# Generated from rules.yaml by `make monitoring`.' 'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' \
		'metadata:' '  name: tenios-operator' '  namespace: tenios-system' 'spec:'; \
		sed -e '/^#/d' -e 's/^/  /' deploy/monitoring/rules.yaml; } > deploy/monitoring/prometheus-rule.yaml
	cp deploy/monitoring/rules.yaml deploy/monitoring/dashboard.json deploy/chart/files

.PHONY: chart-readme
chart-readme: ## Generate the table of values in the chart's README
	CHART_README=write $(CARGO) test --quiet --locked --test deploy readme

.PHONY: reference
reference: ## Generate docs/reference from the CRDs, the command lines and the metrics
	@mkdir -p docs/reference
	REFERENCE=write $(CARGO) test --quiet --locked --test pure reference

.PHONY: build
build: ## Build the operator for release
	$(CARGO) build --release --locked --package tenios-operator

.PHONY: image
image: ## Build the image with docker, podman or buildah; where none answers, pack it as an archive
	deploy/image/build

.PHONY: release-part
release-part: ## Make what of a release takes a machine of this platform, into target/parts
	deploy/release/part target/parts

.PHONY: release
release: ## Make the files of a release in dist/: VERSION=0.1.0, and PARTS=directory for those of other machines
	[ -n "$(PARTS)" ] || $(MAKE) release-part
	deploy/release/assemble "$(VERSION)" "$(or $(PARTS),target/parts)" dist

.PHONY: figures
figures: build control-plane ## Print what the release build costs: requests, latency, memory
	TENIOS_OPERATOR=$(CURDIR)/target/release/tenios-operator $(CARGO) test --quiet --locked --test cluster cost:: -- --nocapture --test-threads=1

.PHONY: bench
bench: control-plane s3 ## Measure speed and cost against a client that does the least, and write docs/performance.md; QUICK=1 for 5 minutes
	$(CARGO) bench --quiet --locked --package tests --bench bench

.PHONY: control-plane
control-plane: ## Build kube-apiserver, kube-controller-manager, etcd and kubectl, once, outside the checkout
	@tests/control-plane/build > /dev/null

.PHONY: s3
s3: ## Build a server of the S3 protocol, once, outside the checkout
	@tests/s3/build > /dev/null

.PHONY: deploy-tools
deploy-tools: ## Build helm, kubeconform and what Argo CD and Flux run, once, outside the checkout
	@tests/deploy-tools/build > /dev/null

.PHONY: prometheus
prometheus: ## Unpack prometheus and promtool, once, outside the checkout
	@tests/prometheus/build > /dev/null

.PHONY: clean
clean: ## Remove what was built here; what is cached outside the checkout stays
	$(CARGO) clean

# Without its profile's link-time optimisation, which takes longer than all checks it will ever do.
$(DENY):
	@echo "building cargo-deny $(DENY_VERSION), once (about 1.5 minutes on two cores)"
	CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) install cargo-deny --quiet --locked --no-default-features --version $(DENY_VERSION) \
		--root $(CACHE)/tools/cargo-deny-$(DENY_VERSION)
