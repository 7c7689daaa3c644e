#!/bin/sh
# pin-charts.sh DIGEST: sets the image's digest in the values of both charts in this checkout.
set -eu
cd "$(dirname "$0")/../deploy/helm"
digest=$1
hex=${digest#sha256:}
case $hex in
  "$digest" | *[!0-9a-f]*) hex= ;;
esac
if [ ${#hex} -ne 64 ]; then
  echo "pin-charts.sh: $digest is not a sha256 digest" >&2
  exit 2
fi
for values in vault-token-sidecar/values.yaml vault-token-sidecar-lib/values.yaml; do
  sed -i "s/^\( *digest: \)\"\"$/\1$digest/" "$values"
  grep -q "^ *digest: $digest$" "$values" || {
    echo "pin-charts.sh: $values has no empty digest to set" >&2
    exit 1
  }
done
