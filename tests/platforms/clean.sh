#!/bin/bash
# What release.sh does in a clean system: installs the wheel as its user would, and holds
# a real HAProxy. Click and Rich are Debian's, so that pip asks no index.
set -euo pipefail
# shellcheck disable=SC1091
name=$(. /etc/os-release && echo "$PRETTY_NAME")
printf '\n== %s: the wheel\n' "$name"
apt-get -qq -y --no-install-recommends install haproxy python3-venv python3-click python3-rich >/dev/null
python3 -m venv --system-site-packages /venv
tag=cp$(python3 -c 'import sys; print("%d%d" % sys.version_info[:2])')
/venv/bin/pip install -q --no-index /given/stillgate-*-"$tag"-*.whl
stillgate=/venv/bin/stillgate
"$stillgate" --version
"$stillgate" --version | grep 'is not there' && exit 1

cat >/tmp/haproxy.cfg <<'CFG'
global
    stats socket /tmp/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend web
    bind unix@/tmp/web.sock
    default_backend app
backend app
    server app unix@/tmp/app.sock
listen answering
    bind unix@/tmp/app.sock
    http-request return status 200 content-type text/plain string served
CFG
# By maxconn a HAProxy 2.6.12 would crash as it releases who waits.
mkdir -p /etc/haproxy
"$stillgate" gate >/etc/haproxy/stillgate-gate.lua
"$stillgate" gate --patch /tmp/haproxy.cfg --write web
haproxy -f /tmp/haproxy.cfg &
haproxy=$!
trap 'kill "$haproxy"' EXIT
asked() {
  python3 - <<'PY'
import socket
with socket.socket(socket.AF_UNIX) as web:
    web.settimeout(20)
    web.connect("/tmp/web.sock")
    web.sendall(b"GET / HTTP/1.0\r\n\r\n")
    print(web.makefile("rb").read().split()[1].decode())
PY
}
until [[ -S /tmp/admin.sock ]]; do sleep 0.1; done
[[ $(asked) = 200 ]]
# The request that is sent inside the hold is answered behind it. Whatever COMMAND starts would end
# with COMMAND.
{ until [[ -e /tmp/begun ]]; do sleep 0.1; done; asked >/tmp/told; } &
client=$!
"$stillgate" hold web --max-hold 20 -e unix:///tmp/admin.sock -- \
  bash -c "touch /tmp/begun; sleep 1; test ! -s /tmp/told && echo 'the migration runs'"
wait "$client"
[[ $(cat /tmp/told) = 200 ]]
# And one that only the guard ends; nobody waits in it.
"$stillgate" suspend web --method maxconn --max-hold 2 --accept-hazard --accept-shared-fate \
  -e unix:///tmp/admin.sock
until "$stillgate" status -e unix:///tmp/admin.sock --exit-code; do sleep 0.2; done
[[ $(asked) = 200 ]]
