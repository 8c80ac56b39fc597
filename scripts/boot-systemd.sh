#!/bin/sh
# In namespaces of its own (see test-systemd.mjs): makes a copy of this machine's file system that is gone afterwards, and boots systemd in it.
# Whatever systemd and its services write or delete goes into memory. Two arguments: an empty directory, and what must be seen of the machine.
set -e
space=$1
project=$2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$space"
mkdir "$space/upper" "$space/work" "$space/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$space/root"
cd "$space/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
for dir in run tmp var/tmp dev/shm; do
  mount -t tmpfs -o mode=1777 tmpfs "$dir"
done
chmod 755 run
# A checkout, or node, on another file system than the root's.
for dir in "$project" "$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")"; do
  [ -e ".$dir" ] && [ -n "$(ls -A ".$dir")" ] || { mkdir -p ".$dir" && mount --rbind -o ro "$dir" ".$dir"; }
done
mkdir -p run/systemd/system
# Parts that would reach beyond the copy, into the kernel or to devices, or that do nothing for a test.
for unit in systemd-sysctl systemd-modules-load systemd-binfmt systemd-udevd systemd-udev-trigger systemd-random-seed systemd-remount-fs; do
  ln -s /dev/null "run/systemd/system/$unit.service"
done
printf '[Unit]\nDescription=Nothing by itself\nDefaultDependencies=no\n' >run/systemd/system/nothing.target
# What logind does at a login: the manager of a user needs the directory.
cat >run/systemd/system/user-runtime-dir@.service <<'UNIT'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mkdir -p /run/user/%i && chown %i /run/user/%i && chmod 700 /run/user/%i'
UNIT
mkdir .old
pivot_root . .old
umount -l /.old
container=docker exec /lib/systemd/systemd --system --unit=nothing.target --log-target=journal --show-status=0
