#!/bin/sh
# sh world.sh COMMAND...: runs a command as the only user of a machine of its own for a Kubernetes node: own network, mounts and
# processes, and a cgroup for the pods. Call it as process 1 of new namespaces. All changes go to $NODE_STATE or vanish with it.
# sh world.sh --remove: removes what a world left that has ended, also one that was killed.
set -eu
cgroup=vault-token-sidecar-node

remove() {
  for hierarchy in /sys/fs/cgroup/*/; do
    [ ! -d "$hierarchy$cgroup" ] || find "$hierarchy$cgroup" -depth -type d -exec rmdir {} \;
  done
  rm -rf "$NODE_STATE"
}

remove
[ "$1" != --remove ] || exit 0
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  echo "the node needs a machine with cgroup v1" >&2
  exit 1
fi

for hierarchy in /sys/fs/cgroup/*/; do
  [ "$hierarchy" = /sys/fs/cgroup/unified/ ] || mkdir "$hierarchy$cgroup"
done
for file in cpuset.cpus cpuset.mems; do
  cat "/sys/fs/cgroup/cpuset/$file" > "/sys/fs/cgroup/cpuset/$cgroup/$file"
done
# all pods together count as much as four other programs, not as one
echo 4096 > "/sys/fs/cgroup/cpu/$cgroup/cpu.shares"

# the programs create directories here
for directory in /var/lib /usr/libexec; do
  upper=$NODE_STATE/changes$directory
  mkdir -p "$upper" "$upper.work"
  mount -t overlay -o "lowerdir=$directory,upperdir=$upper,workdir=$upper.work" overlay "$directory"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
# kubelet changes these settings, which every namespace shares
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=/run/settings/$setting
  mkdir -p "${copy%/*}"
  cat "/proc/sys/$setting" > "$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done

ip link set lo up
# the bridge of the pods, with the node's address
ip link add node0 type bridge
ip address add 10.66.0.1/24 dev node0
ip link set node0 up

# as process 1, the shell also reaps the processes that lost their parents
"$@" &
wait $!
