# What clean.sh and clean_chef.sh share: a real HAProxy with the gate, and holds of it.
# shellcheck shell=bash
# shellcheck disable=SC1091
source /etc/os-release
given=$(realpath "$(dirname "$0")/../../build/release")
suite=$(sed -n 's/^deb [^ ]* \([^ ]*\) .*/\1/p' /etc/apt/sources.list)
# shellcheck disable=SC2034
wheels=$(realpath "$(dirname "$0")/../../build/wheels/$suite")
step() { printf '\n== %s: %s\n' "$PRETTY_NAME" "$*"; }
apt-get -qq -y --no-install-recommends install haproxy >/dev/null

cat >/tmp/haproxy.cfg <<'CFG'
global
    stats socket /tmp/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend balanced
    bind unix@/tmp/web.sock
    default_backend app
backend app
    server app unix@/tmp/app.sock
listen answering
    bind unix@/tmp/app.sock
    http-request return status 200 content-type text/plain string served
CFG
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

# With the gate: by maxconn a HAProxy 2.6.12 would crash as it releases who waits.
start_haproxy() {
  mkdir -p /etc/haproxy
  "$1" gate >/etc/haproxy/stillgate-gate.lua
  "$1" gate --patch /tmp/haproxy.cfg --write balanced
  haproxy -f /tmp/haproxy.cfg &
  haproxy=$!
  trap 'kill "$haproxy"' EXIT
  until [[ -S /tmp/admin.sock ]]; do sleep 0.1; done
  [[ $(asked) = 200 ]]
}

hold_with() {
  local stillgate=$1 client
  rm -f /tmp/begun /tmp/told
  # The request that is sent inside the hold is answered after it. Whatever COMMAND starts would end
  # with COMMAND.
  { until [[ -e /tmp/begun ]]; do sleep 0.1; done; asked >/tmp/told; } &
  client=$!
  "$stillgate" hold balanced --max-hold 20 -e unix:///tmp/admin.sock -- \
    bash -c "touch /tmp/begun; sleep 1; test ! -s /tmp/told && echo 'the migration runs'"
  wait "$client"
  [[ $(cat /tmp/told) = 200 ]]
  # And one that only the guard ends; nobody waits in it.
  "$stillgate" suspend balanced --method maxconn --max-hold 2 --accept-hazard --accept-shared-fate \
    -e unix:///tmp/admin.sock
  until "$stillgate" status -e unix:///tmp/admin.sock --exit-code; do sleep 0.2; done
  [[ $(asked) = 200 ]]
}
