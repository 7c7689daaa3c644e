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

npm run -s build -- --log-level=warning --metafile="$tree/bundle.json"
sh deploy/packages/build.sh
deb=vault-token-sidecar_$version-1_all.deb
rpm=vault-token-sidecar-$version-1.noarch.rpm
# STANDALONE names an archive that is already built
standalone=${STANDALONE:-$(node deploy/standalone/build.ts)}
cp "dist/$deb" "dist/$rpm" "$standalone" "$target"

mkdir "$tree/$name"
cp dist/*.mjs LICENSE README.md CHANGELOG.md SECURITY.md config.example.json config.schema.json "$tree/$name"
mkdir "$tree/$name/docs"
cp docs/*.md "$tree/$name/docs"
cp config.schema.json "$target"
node deploy/image/notices.ts "$tree/bundle.json" > "$tree/$name/THIRD-PARTY-NOTICES.txt"
tar -C "$tree" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf "$tree/tar" "$name"
gzip --no-name --best < "$tree/tar" > "$target/$name.tar.gz"

# npm names the SBOM's component after the directory
mkdir "$tree/vault-token-sidecar"
cp package.json package-lock.json "$tree/vault-token-sidecar"
(cd "$tree/vault-token-sidecar" && npm sbom --package-lock-only --sbom-format cyclonedx --sbom-type application --omit dev) \
  > "$target/$name.cdx.json"

cd "$target"
sha256sum config.schema.json "$name.cdx.json" "$name.tar.gz" "$deb" "$rpm" "${standalone##*/}" > SHA256SUMS
