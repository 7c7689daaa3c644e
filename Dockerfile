# Two images with the sidecar in /app: the last stage, Node without a shell or package manager; and the target "shell", for CI
# jobs. See deploy/image/README.md.

# The bundle is the same for every platform, so it is built on the builder's platform, without emulation.
FROM --platform=$BUILDPLATFORM docker.io/library/node:26.10.0-trixie-slim@sha256:ec7758ee051e457b468b32bde57b0879010b325bb9862718e9615225ce4aaae1 AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# no package scripts; the secret can set a mirror of the registry
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts
COPY LICENSE build.ts tsconfig.json ./
COPY deploy/image deploy/image
COPY src src
# the timestamp of all files in the image; releases use the commit's
ARG SOURCE_DATE_EPOCH=0
# the commit, which `version` prints
ARG REVISION=unknown
RUN SOURCE_COMMIT=$REVISION npm run build -- --metafile=/tmp/bundle.json --log-level=warning \
 && install -D -m 644 -t /out/app dist/*.mjs LICENSE \
 && install -D -m 755 -t /out/usr/local/bin deploy/image/vault-token-sidecar \
 && install -d /shell/nodejs/bin \
 && ln -s /usr/local/bin/node /shell/nodejs/bin/node \
 && node deploy/image/notices.ts /tmp/bundle.json > /out/app/THIRD-PARTY-NOTICES.txt \
 && find /out /shell -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +

# GitLab starts the shell of a job as the container's command, so this image has no entry point.
FROM docker.io/library/node:26.10.0-trixie-slim@sha256:ec7758ee051e457b468b32bde57b0879010b325bb9862718e9615225ce4aaae1 AS shell
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE
LABEL org.opencontainers.image.title="vault-token-sidecar" \
      org.opencontainers.image.description="Exchanges a workload's JWT for a HashiCorp Vault token, and keeps that token alive in a file and on loopback" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /shell/ /out/ /
# the user "node" of the base image
USER 1000:1000
ENTRYPOINT []
CMD ["sh"]

FROM gcr.io/distroless/nodejs26-debian13:nonroot@sha256:2ee7b2c54a3e37dfc248af81c9f6bcdcaa50abe4af44aa47a3388431031b9283
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE
LABEL org.opencontainers.image.title="vault-token-sidecar" \
      org.opencontainers.image.description="Exchanges a workload's JWT for a HashiCorp Vault token, and keeps that token alive in a file and on loopback" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
USER 65532:65532
# Small heaps without optimizing compilers (for JavaScript and WebAssembly) halve Node's memory; nothing here is
# CPU-bound. Never --jitless, since the HTTP client needs WebAssembly. --disable-sigusr1 keeps a signal from opening the
# debugger.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=1", "--max-old-space-size=64", "--no-opt", "--no-maglev", "--no-sparkplug", "--wasm-tiering-budget=1000000000", "--disable-sigusr1", "/app/vault-token-sidecar.mjs"]
CMD ["run"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/nodejs/bin/node", "/app/healthcheck.mjs"]
