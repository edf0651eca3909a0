#!/bin/bash
# Installs packages of another suite of Debian beside those that are there, all of which stay:
# borrow.sh SUITE PACKAGE... It is called in a chroot, by root.
set -euo pipefail
suite=$1
shift
list=/etc/apt/sources.list.d/borrowed.list pin=/etc/apt/preferences.d/borrowed
trap 'rm -f "$list" "$pin"' EXIT
sed -n "s/^\(deb [^ ]*\) .*/\1 $suite main/p" /etc/apt/sources.list >"$list"
printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$suite" >"$pin"
apt-get -qq -o Acquire::Check-Valid-Until=false update
apt-get -qq -y --no-install-recommends --no-remove --no-upgrade install "$@" >/dev/null
