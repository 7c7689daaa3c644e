#!/bin/sh
# release-files.sh DIRECTORY: builds the files of a release from a checkout with installed packages: the program as an
# archive, a .deb, an .rpm and standalone, its SBOM (CycloneDX), the config's schema, and checksums. Reproducible, except
# for the .cdx.json, which contains the time of the build, and the standalone program, which contains V8's code cache.
set -eu
umask 022
mkdir -p "$1"
target=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
# use the project's Node
PATH="$PWD/node_modules/.bin:$PATH"
version=$(node -p 'require("./package.json").version')
name=vault-token-sidecar-$version
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

sh deploy/archive/build.sh
sh deploy/packages/build.sh
deb=vault-token-sidecar_$version-1_all.deb
rpm=vault-token-sidecar-$version-1.noarch.rpm
# STANDALONE names an archive that is already built
standalone=${STANDALONE:-$(node deploy/standalone/build.ts)}
cp "dist/$name.tar.gz" "dist/$deb" "dist/$rpm" "$standalone" "$target"
cp config.schema.json "$target"

# npm names the SBOM's component after the directory
mkdir "$tree/vault-token-sidecar"
cp package.json package-lock.json "$tree/vault-token-sidecar"
(cd "$tree/vault-token-sidecar" && npm sbom --package-lock-only --sbom-format cyclonedx --sbom-type application --omit dev) \
  > "$target/$name.cdx.json"

cd "$target"
sha256sum config.schema.json "$name.cdx.json" "$name.tar.gz" "$deb" "$rpm" "${standalone##*/}" > SHA256SUMS
