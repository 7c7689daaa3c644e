#!/bin/sh
# npm run build:packages: builds dist/vault-token-sidecar_<version>-1_all.deb and the .rpm, reproducibly. Unless
# SOURCE_DATE_EPOCH is set, the date comes from the changelog. NFPM names the program nfpm; by default, Go builds it.
set -eu
umask 022
export LC_ALL=C
cd "$(dirname "$0")/../.."
# use the project's Node
PATH=$PWD/node_modules/.bin:$PATH
name=vault-token-sidecar
nfpm=${NFPM:-go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0}
VERSION=$(node -p 'require("./package.json").version')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n '/^  date: /{s///p;q}' deploy/packages/changelog.yaml)" +%s)}
TREE=$(mktemp -d)
trap 'rm -rf "$TREE"' EXIT
export VERSION SOURCE_DATE_EPOCH TREE
program=dist/$name.mjs

# Generates the manual from the --help of each command.
manual() {
  roff='s/\\/\\e/g; s/-/\\-/g; s/^[.'\'']/\\\&&/'
  day=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)
  printf '.TH VAULT\\-TOKEN\\-SIDECAR 1 "%s" "%s"\n.SH NAME\n%s \\- %s\n' "$day" "$VERSION" "$name" \
    "exchange a workload's JWT for a HashiCorp Vault token"
  printf '.SH SYNOPSIS\n.nf\n'
  node "$program" --help | sed "$roff"
  printf '.fi\n.SH COMMANDS\n'
  for command in $(node "$program" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
    printf '.SS %s\n.nf\n' "$command" | sed "/^\.SS/s/-/\\\\-/g"
    node "$program" "$command" --help | sed "$roff"
    printf '.fi\n'
  done
  printf '.SH FILES\n.nf\n%s\n%s\n.fi\n' \
    "/etc/$name/<instance>.json  the config of ${name}@<instance>.service" "/run/$name/<instance>/  its files" | sed "$roff"
}

npm run -s build -- --metafile="$TREE/bundle.json" --log-level=warning
mkdir "$TREE/lib"
cp dist/*.mjs "$TREE/lib"
# remove the hashbang, since the launcher starts the program
sed -i '1{/^#!/d}' "$TREE/lib/$name.mjs"
# only the image uses the health check
rm "$TREE/lib/healthcheck.mjs"
node deploy/image/notices.ts "$TREE/bundle.json" | gzip -9n > "$TREE/third-party-notices.gz"
if [ -e docs/$name.1 ]; then cat docs/$name.1; else manual; fi | gzip -9n > "$TREE/$name.1.gz"
find "$TREE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
for packager in deb rpm; do
  $nfpm package --config deploy/packages/nfpm.yaml --packager $packager --target dist/ > /dev/null
done
