# syntax=docker/dockerfile:1
# An image a program, of one build:
#
#   docker build --target matcher --tag ghcr.io/campaign-manager/matcher:0.1.0 .
#
# Several architectures: docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --provenance=true …
# Each architecture is built where it runs, or emulated: OpenSSL and librdkafka are compiled along.

FROM rust:1.95.0-bookworm AS build
# perl and make build OpenSSL; the image has a C compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make perl \
 && rm -rf /var/lib/apt/lists/*
ARG TARGETARCH
WORKDIR /source
COPY . .
# Crates and what was compiled of them stay in the builder's caches; a change of the source compiles our crates only.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=target-$TARGETARCH \
    cargo build --release --locked --package ingest --package matcher --package campaign-admin --bins \
 && mkdir /programs \
 && cp target/release/ingest target/release/matcher target/release/campaign-admin target/release/campaignctl /programs

# glibc and libgcc, certificates, a user 65532, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot AS program
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.vendor="Campaign Manager"
USER 65532:65532

FROM program AS ingest
LABEL org.opencontainers.image.title=ingest \
      org.opencontainers.image.description="Takes events over HTTP and acknowledges them when the broker has them"
COPY --from=build /programs/ingest /usr/local/bin/ingest
EXPOSE 8080 9464
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["/usr/local/bin/ingest", "--check-health"]
ENTRYPOINT ["/usr/local/bin/ingest"]

FROM program AS matcher
LABEL org.opencontainers.image.title=matcher \
      org.opencontainers.image.description="Turns events into matches, exactly once, and records them"
COPY --from=build /programs/matcher /usr/local/bin/matcher
EXPOSE 9464
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["/usr/local/bin/matcher", "--check-health"]
ENTRYPOINT ["/usr/local/bin/matcher"]

FROM program AS campaign-admin
LABEL org.opencontainers.image.title=campaign-admin \
      org.opencontainers.image.description="Serves the campaigns' API, with Kafka as its database"
COPY --from=build /programs/campaign-admin /usr/local/bin/campaign-admin
EXPOSE 8080 9464
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["/usr/local/bin/campaign-admin", "--check-health"]
ENTRYPOINT ["/usr/local/bin/campaign-admin"]

FROM program AS campaignctl
LABEL org.opencontainers.image.title=campaignctl \
      org.opencontainers.image.description="Campaigns as files, and a look at what runs"
COPY --from=build /programs/campaignctl /usr/local/bin/campaignctl
ENTRYPOINT ["/usr/local/bin/campaignctl"]
