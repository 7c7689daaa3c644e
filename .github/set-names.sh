#!/bin/sh
# set-names.sh REPOSITORY REGISTRY: replaces the stand-ins git.example.com and registry.example.com in what this checkout
# ships, such as https://github.com/owner/name and ghcr.io/owner. Prints the names of the image and of the charts'
# directory, as variables.
set -eu
cd "$(dirname "$0")/.."
repository=$1
# registries refuse capitals
registry=$(printf %s "$2" | tr '[:upper:]' '[:lower:]')
for name in "$repository" "$registry"; do
  case $name in
    */* ) ;;
    *) echo "set-names.sh: \"$name\" has no owner" >&2; exit 2 ;;
  esac
  case $name in
    *[!A-Za-z0-9._:/-]*) echo "set-names.sh: unexpected character in \"$name\"" >&2; exit 2 ;;
  esac
done
grep -rlE --exclude='*.md' '(git|registry)\.example\.com' src deploy | while read -r file; do
  sed -i "s#https://git\.example\.com/vault-token-sidecar#$repository#g; s#registry\.example\.com#$registry#g" "$file"
done
printf 'IMAGE=%s/vault-token-sidecar\nCHARTS=%s/charts\n' "$registry" "$registry"
