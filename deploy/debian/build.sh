#!/bin/sh
# npm run build:deb: builds dist/vault-token-sidecar_<version>_all.deb, reproducibly. The version and, unless
# SOURCE_DATE_EPOCH is set, the date come from the changelog.
set -eu
umask 022
export LC_ALL=C
cd "$(dirname "$0")/../.."
# use the project's Node
PATH=$PWD/node_modules/.bin:$PATH
name=vault-token-sidecar
source=deploy/debian
version=$(sed -n "1s/^$name (\(.*\)) .*/\1/p" $source/changelog)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n '/^ -- /{s/.*>  //p;q}' $source/changelog)" +%s)}
export SOURCE_DATE_EPOCH
tree=$(mktemp -d)
parts=$(mktemp -d)
program=dist/$name.mjs
trap 'rm -rf "$tree" "$parts"' EXIT

# put MODE FILE PATH: adds a file to the package, compressed if PATH ends in .gz
put() {
  mkdir -p "$tree/${3%/*}"
  case $3 in
    *.gz) gzip -9n < "$2" > "$tree/$3" ;;
    *) cp "$2" "$tree/$3" ;;
  esac
  chmod "$1" "$tree/$3"
}

# Generates the manual from the --help of each command.
manual() {
  roff='s/\\/\\e/g; s/-/\\-/g; s/^[.'\'']/\\\&&/'
  day=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)
  printf '.TH VAULT\\-TOKEN\\-SIDECAR 1 "%s" "%s"\n.SH NAME\n%s \\- %s\n' "$day" "$version" "$name" \
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

doc=usr/share/doc/$name
npm run -s build -- --metafile="$parts/bundle.json" --log-level=warning
node deploy/image/notices.ts "$parts/bundle.json" > "$parts/notices"
manual > "$parts/manual"
put 755 $source/$name.sh usr/bin/$name
for file in dist/*.mjs; do put 644 "$file" "usr/lib/$name/${file#dist/}"; done
# remove the hashbang, since the launcher starts the program
sed -i '1{/^#!/d}' "$tree/usr/lib/$name/$name.mjs"
# only the image uses the health check
rm "$tree/usr/lib/$name/healthcheck.mjs"
put 644 deploy/systemd/$name@.service usr/lib/systemd/system/$name@.service
put 644 deploy/systemd/$name.sysusers.conf usr/lib/sysusers.d/$name.conf
put 644 deploy/systemd/$name.tmpfiles.conf usr/lib/tmpfiles.d/$name.conf
put 644 deploy/systemd/app.json $doc/examples/app.json
for file in consumer.conf my-app-token.path my-app-token.service; do put 644 "deploy/systemd/$file" "$doc/examples/$file"; done
put 644 $source/changelog $doc/changelog.gz
put 644 $source/copyright $doc/copyright
put 644 "$parts/notices" $doc/third-party-notices.gz
put 644 "$parts/manual" usr/share/man/man1/$name.1.gz

(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$parts/md5sums"
size=$(find "$tree/usr" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
sed "s/@VERSION@/$version/; s/@SIZE@/$size/" $source/control > "$parts/control"
for file in control md5sums; do put 644 "$parts/$file" DEBIAN/$file; done
for script in postinst prerm postrm; do put 755 $source/$script DEBIAN/$script; done
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
chmod 755 "$tree"
mkdir -p dist
dpkg-deb --root-owner-group --build "$tree" "dist/${name}_${version}_all.deb"
