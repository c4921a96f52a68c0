# What can be done here: `make help`. Each target sets up by itself what it needs.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
LIBEXECDIR = $(PREFIX)/libexec/podman-stagecache
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
# Where the docker command line looks for its plugins.
DOCKERPLUGINDIR = $(PREFIX)/libexec/docker/cli-plugins

# Where cargo puts the program.
TARGET = $(or $(CARGO_TARGET_DIR),target)
BUILT = $(TARGET)/release/podman-stagecache
# What is installed; `make install PROGRAM=…` takes one that is built already.
PROGRAM = $(BUILT)
# Where the man pages are written before they are installed.
MANOUT = man
SCRIPTS = $(shell grep -lrE --exclude='*.txt' --exclude='*.rs' --exclude='*.md' '^\#!/(usr/bin/env bash|bin/sh)|^\# shellcheck shell=' contrib tests .ci)

# A RUN needs an isolation that works on this machine; what is asked for in the environment is kept.
WITH_ISOLATION = BUILDAH_ISOLATION="$$(contrib/isolation)"
# nextest runs each test in a process of its own and in parallel; cargo test does as well.
TESTS := $(shell command -v cargo-nextest >/dev/null && echo nextest run --no-fail-fast -E \'not binary\(conformance\)\' || echo test --lib --bins --tests)
CONFORMANCE_ENGINES ?= buildah podman
CONFORMANCE_FLAGS ?=
# Where the results lie that `make conformance-table` draws.
CONFORMANCE_RESULTS ?= $(TARGET)/conformance
# Root builds as this one what is to be built without privileges.
AN_ORDINARY_USER = $$([ "$$(id -u)" != 0 ] || contrib/ci/ordinary-user)
# The program as users have it; it is also the faster one.
CONFORMANCE = $(WITH_ISOLATION) $(CARGO) test --locked --test conformance -- --stagecache $(abspath $(BUILT))

.DEFAULT_GOAL := build
.PHONY: help build release demo test test-table test-random test-faults test-real conformance conformance-corpus conformance-sequences conformance-mutations conformance-pairs conformance-some conformance-rootless conformance-upstream conformance-table test-matrix bench lint lint-scripts man completions install uninstall setup setup-dev clean

help: ## this text
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 30

build: ## the program, as developers run it: target/debug/podman-stagecache
	$(CARGO) build --locked

release: $(BUILT) ## the program, as users run it: target/release/podman-stagecache

$(BUILT): Cargo.toml Cargo.lock $(shell find src -name '*.rs')
	$(CARGO) build --locked --release
	@touch $@

setup:
	@contrib/setup

setup-dev:
	@contrib/setup --dev

demo: setup build ## an example project built twice, with a change in between; leaves nothing behind
	@contrib/demo/demo

test: setup ## all tests that need no network: unit tests, and end-to-end tests on the installed engines
	$(WITH_ISOLATION) $(CARGO) $(TESTS) --locked
	$(CARGO) test --locked --quiet --test conformance

test-table: setup build ## a table of changes against their verdicts and the files of the final image
	$(WITH_ISOLATION) $(CARGO) test --locked --test cache_table

test-random: setup build ## random stage graphs on the installed engines, 60 of each kind, other ones each time; GRAPHS=n, SEED=n
	$(WITH_ISOLATION) $(CARGO) test --locked --test model -- --ignored --nocapture

test-faults: setup build ## kills, builds beside prunes, damaged state, at random; KILLS=n ROUNDS=n BUILDS=n CORRUPTIONS=n SEED=n
	$(WITH_ISOLATION) $(CARGO) test --locked --test faults -- --ignored --nocapture --test-threads=1

test-real: setup-dev build ## real software from a real distribution base; fetches packages the first time
	$(WITH_ISOLATION) tests/real/run.sh

conformance: conformance-corpus conformance-mutations conformance-pairs ## everything by an engine and by us: nothing may differ
	$(CONFORMANCE) --engine $(firstword $(CONFORMANCE_ENGINES)) --planted

conformance-corpus: setup release ## each case of the corpus, the sequences of builds among them
	$(CONFORMANCE) $(CONFORMANCE_ENGINES:%=--engine %) --save $(CONFORMANCE_RESULTS)/root.json $(CONFORMANCE_FLAGS)

conformance-sequences: setup release ## of the corpus the sequences alone
	$(CONFORMANCE) $(CONFORMANCE_ENGINES:%=--engine %) --filter 'sequences/*' $(CONFORMANCE_FLAGS)

conformance-mutations: setup release ## each case of the corpus, and then a change of it that is drawn: nothing may be stale; SEED=n
	$(CONFORMANCE) $(CONFORMANCE_ENGINES:%=--engine %) --of mutations $(SEED:%=--seed %) $(CONFORMANCE_FLAGS)

conformance-pairs: setup release ## each two flags of build together, by an engine and by us; SEED=n
	$(CONFORMANCE) $(CONFORMANCE_ENGINES:%=--engine %) --of pairs --seed $(or $(SEED),1) $(CONFORMANCE_FLAGS)

conformance-some: setup build ## cases drawn from the corpus or from OF=pairs, OF=mutations, other ones each time; CASES=n, SEED=n, ROOTLESS=1
	$(WITH_ISOLATION) $(CARGO) test --locked --test conformance -- $(CONFORMANCE_ENGINES:%=--engine %) \
		--of $(or $(OF),corpus) --draw $(or $(CASES),100) $(SEED:%=--seed %) $(CONFORMANCE_FLAGS) \
		$(if $(ROOTLESS),--rootless $(AN_ORDINARY_USER))

conformance-rootless: setup release ## the corpus without privileges; root makes an ordinary user for it
	$(CONFORMANCE) $(CONFORMANCE_ENGINES:%=--engine %) --save $(CONFORMANCE_RESULTS)/rootless.json $(CONFORMANCE_FLAGS) \
		--rootless $(AN_ORDINARY_USER)

conformance-upstream: setup release ## upstream's own build tests by an engine and by us; BUILDAH=DIR, PODMAN=DIR: their sources (no checkout is made)
	@test -d '$(BUILDAH)/tests/bud' || test -d '$(PODMAN)/test/e2e/build' || \
		{ echo 'make: BUILDAH=DIR or PODMAN=DIR names the sources of containers/buildah and containers/podman' >&2; exit 1; }
	rm -rf $(TARGET)/upstream && mkdir -p $(TARGET)/upstream
	$(if $(BUILDAH),tests/conformance/record-bats $(BUILDAH)/tests/bud.bats $(BUILDAH)/tests/bud $(TARGET)/upstream/bud)
	$(if $(PODMAN),tests/conformance/record-bats $(PODMAN)/test/system/070-build.bats $(PODMAN)/test/e2e/build $(TARGET)/upstream/podman)
	$(CONFORMANCE) $(CONFORMANCE_ENGINES:%=--engine %) --contexts $(abspath $(TARGET)/upstream) \
		$(if $(BUILDAH),--contexts $(BUILDAH)/tests/bud --contexts $(BUILDAH)/tests/conformance) \
		$(if $(PODMAN),--contexts $(PODMAN)/test) \
		--save $(CONFORMANCE_RESULTS)-upstream.json $(CONFORMANCE_FLAGS)

conformance-table: ## the results of the last runs as the table that the README has
	@$(CARGO) test --locked --quiet --test conformance -- --from $(wildcard $(CONFORMANCE_RESULTS)/*.json) --format markdown

test-matrix: setup-dev build ## the end-to-end tests and the corpus on other versions of the engines
	@test -x contrib/ci/matrix || { echo 'make: contrib/ci/matrix is not there' >&2; exit 1; }
	contrib/ci/matrix

bench: setup-dev release ## how long builds take, beside the engine's own
	@test -x contrib/bench || { echo 'make: contrib/bench is not there' >&2; exit 1; }
	contrib/bench

lint: lint-scripts ## formatting, clippy, shellcheck, licences
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then set -x; $(CARGO) deny --locked check; \
	else echo 'lint: cargo-deny is not here: licences were not checked' >&2; fi

lint-scripts: setup-dev
	shellcheck --external-sources --source-path=SCRIPTDIR $(SCRIPTS)

man: $(PROGRAM) ## man pages into man/
	rm -rf $(MANOUT) && mkdir -p $(MANOUT)
	$(PROGRAM) man $(MANOUT)

completions: build ## completions for each shell into completions/
	mkdir -p completions
	$(TARGET)/debug/podman-stagecache completion bash >completions/podman-stagecache.bash
	$(TARGET)/debug/podman-stagecache completion zsh >completions/_podman-stagecache
	$(TARGET)/debug/podman-stagecache completion fish >completions/podman-stagecache.fish
	$(TARGET)/debug/podman-stagecache completion elvish >completions/podman-stagecache.elv
	$(TARGET)/debug/podman-stagecache completion powershell >completions/podman-stagecache.ps1

install: man ## program, man pages, completions and profile function into $(DESTDIR)$(PREFIX)
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(BINDIR)/podman-stagecache
	ln -sf podman-stagecache $(DESTDIR)$(BINDIR)/buildah-stagecache
	install -D -m 755 contrib/bin/docker-stagecache $(DESTDIR)$(DOCKERPLUGINDIR)/docker-stagecache
	install -D -m 755 contrib/bin/podman $(DESTDIR)$(LIBEXECDIR)/podman
	ln -sf podman $(DESTDIR)$(LIBEXECDIR)/buildah
	install -D -m 644 contrib/shell/podman-stagecache.sh $(DESTDIR)$(LIBEXECDIR)/podman-stagecache.sh
	install -D -m 644 contrib/shell/podman-stagecache.sh $(DESTDIR)$(SYSCONFDIR)/profile.d/podman-stagecache.sh
	install -d $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(MANOUT)/*.1 $(DESTDIR)$(MANDIR)/man1/
	install -D -m 644 completions/podman-stagecache.bash $(DESTDIR)$(BASHDIR)/podman-stagecache
	install -D -m 644 completions/_podman-stagecache $(DESTDIR)$(ZSHDIR)/_podman-stagecache
	install -D -m 644 completions/podman-stagecache.fish $(DESTDIR)$(FISHDIR)/podman-stagecache.fish

uninstall: ## what install has put there
	rm -f $(DESTDIR)$(BINDIR)/podman-stagecache $(DESTDIR)$(BINDIR)/buildah-stagecache
	rm -f $(DESTDIR)$(DOCKERPLUGINDIR)/docker-stagecache
	rm -rf $(DESTDIR)$(LIBEXECDIR)
	rm -f $(DESTDIR)$(SYSCONFDIR)/profile.d/podman-stagecache.sh
	rm -f $(DESTDIR)$(MANDIR)/man1/podman-stagecache.1 $(DESTDIR)$(MANDIR)/man1/podman-stagecache-*.1
	rm -f $(DESTDIR)$(BASHDIR)/podman-stagecache $(DESTDIR)$(ZSHDIR)/_podman-stagecache
	rm -f $(DESTDIR)$(FISHDIR)/podman-stagecache.fish

clean: ## what was built here
	$(CARGO) clean
	rm -rf man
