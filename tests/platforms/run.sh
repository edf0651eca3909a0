#!/bin/bash
# Builds and tests Stillgate on newer Debians, in chroots: tests/platforms/run.sh [SUITE...]
# It wants root, and Debian's archive as apt on this machine has it. The chroots stay in
# .cache/platforms. What is built and tested in them has no network.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ $# -gt 0 ]] || set -- trixie sid
# shellcheck source=tests/platforms/chroot.sh
source tests/platforms/chroot.sh
packages=(g++ ccache cmake ninja-build pkg-config libboost-dev libfmt-dev libssl-dev libssh2-1-dev
  libgtest-dev libgmock-dev pybind11-dev python3-dev python3-venv python3-pip python3-wheel
  python3-setuptools python3-setuptools-whl python3-pybind11 python3-click python3-rich python3-pytest
  python3-pytest-xdist python3-jsonschema python3-h2 fabric haproxy
  openssh-client openssh-server openssl man-db make git procps iproute2 socat)

prepare() {
  local suite=$1 root=$2
  bootstrap "$suite" "$root"
  in_chroot "$root" --net apt-get -qq -y --no-install-recommends install "${packages[@]}" >/dev/null
  copy_tree "$root"
  wheels_in "$root"
}

"${PYTHON:-python3}" tests/support/haproxy/fetch.py
for suite in "$@"; do
  root=$cache/platforms/$suite
  prepare "$suite" "$root"
  in_chroot "$root" bash /src/tests/platforms/inside.sh
done
