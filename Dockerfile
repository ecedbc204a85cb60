# The executable with what it needs to run, and nothing else. One image for all roles: `docker run sluice:1 gateway`.
FROM swift:6.3-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The versions are Debian 12's, whose libraries the executable is then run with.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends \
        libevent-dev libhiredis-dev libpq-dev librdkafka-dev libjemalloc-dev libsimdjson-dev libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Package.swift ./
COPY CShims CShims
COPY Sources Sources
COPY Tests Tests
COPY infra infra
RUN swift build -c release --static-swift-stdlib --product sluice

FROM debian:12-slim
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates libevent-core-2.1-7 libhiredis0.14 libpq5 librdkafka1 libjemalloc2 libsimdjson14 libssl3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home sluice
COPY --from=build /source/.build/release/sluice /usr/bin/sluice
USER 10001
# SIGTERM drains.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/sluice"]
CMD ["--help"]
