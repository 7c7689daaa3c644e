#!/bin/sh
# npm run build:archive: builds dist/vault-token-sidecar-<version>.tar.gz: the program, its documentation and licences.
# npm can install it: it contains its dependencies. Reproducible; SOURCE_DATE_EPOCH is the time of the files.
set -eu
umask 022
cd "$(dirname "$0")/../.."
# use the project's Node
PATH="$PWD/node_modules/.bin:$PATH"
name=vault-token-sidecar-$(node -p 'require("./package.json").version')
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

npm run -s build -- --log-level=warning --metafile="$tree/bundle.json"
mkdir -p "$tree/$name/docs"
cp dist/*.mjs LICENSE README.md CHANGELOG.md SECURITY.md config.example.json config.schema.json "$tree/$name"
cp -R docs/*.md docs/images "$tree/$name/docs"
node deploy/image/notices.ts "$tree/bundle.json" > "$tree/$name/THIRD-PARTY-NOTICES.txt"
node > "$tree/$name/package.json" -e '
  const { name, version, description, license, type, engines } = require("./package.json");
  const bin = { [name]: name + ".mjs" };
  console.log(JSON.stringify({ name, version, description, license, type, engines, bin }, null, 2));'
tar -C "$tree" --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
  -cf "$tree/tar" "$name"
gzip --no-name --best < "$tree/tar" > "dist/$name.tar.gz"
