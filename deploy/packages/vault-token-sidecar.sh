#!/bin/sh
exec /usr/bin/node --max-semi-space-size=1 --max-old-space-size=64 \
  --no-opt --no-maglev --no-sparkplug --wasm-tiering-budget=1000000000 --disable-sigusr1 \
  /usr/lib/vault-token-sidecar/vault-token-sidecar.mjs "$@"
