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

npm run -s build -- --metafile="$TREE/bundle.json" --log-level=warning
mkdir "$TREE/lib"
cp dist/*.mjs "$TREE/lib"
# remove the hashbang, since the launcher starts the program
sed -i '1{/^#!/d}' "$TREE/lib/$name.mjs"
# only the image uses the health check
rm "$TREE/lib/healthcheck.mjs"
node deploy/image/notices.ts "$TREE/bundle.json" | gzip -9n > "$TREE/third-party-notices.gz"
gzip -9n < docs/$name.1 > "$TREE/$name.1.gz"
find "$TREE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
for packager in deb rpm; do
  $nfpm package --config deploy/packages/nfpm.yaml --packager $packager --target dist/ > /dev/null
done
