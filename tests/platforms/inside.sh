#!/bin/bash
# What run.sh does inside each chroot: the developer's build, pip's, and holds on real HAProxies.
set -euo pipefail
# shellcheck disable=SC1091
name=$(. /etc/os-release && echo "$PRETTY_NAME")
step() { printf '\n== %s: %s\n' "$name" "$*"; }
ip link set lo up
cd /src
# What is fast to compile: it is to be seen that it compiles, and does what it should.
# And many sources as one, as pip and the .deb do.
export CMAKE_UNITY_BUILD=ON CMAKE_BUILD_TYPE=None CMAKE_BUILD_PARALLEL_LEVEL=2 CMAKE_CXX_COMPILER_LAUNCHER=ccache
dpkg-query -W g++ cmake libboost-dev libfmt-dev libssh2-1-dev pybind11-dev python3 haproxy openssh-server

step 'C++ units and tests/python'
make unit

step 'pip install ., isolated, into a new venv'
python3 -m venv --system-site-packages --clear /venv
/venv/bin/pip install -q --no-index --find-links /wheels .
/venv/bin/stillgate --version

step 'a hold by what pip installed'
eval "$(/venv/bin/python tests/demo/playground.py)"
trap 'kill "$PLAYGROUND"' EXIT
/venv/bin/stillgate hold balanced --max-hold 20 -e "$SOCKET" -- echo 'the migration runs'

step 'holds by maxconn, by the gate and over SSH'
STILLGATE_HAPROXY=/usr/sbin/haproxy .venv/bin/python -m pytest -q -n 2 \
  tests/integration/ssh tests/integration/hold/test_maxconn.py tests/integration/gate/test_hold.py
