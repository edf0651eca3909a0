#!/bin/bash
# What release.sh does in a clean system: clean.sh [deb] [wheel] installs each as its user would, and
# holds a real HAProxy with it. Click and Rich are Debian's, so that pip asks no index.
set -euo pipefail
# shellcheck source=tests/platforms/clean_stage.sh
source "$(dirname "$0")/clean_stage.sh"
wheel=/venv/bin/stillgate deb=/usr/bin/stillgate

install_deb() {
  apt-get -qq -y --no-install-recommends install \
    "$given"/stillgate_*+deb"$VERSION_ID"_*.deb >/dev/null
  local file
  for file in /usr/libexec/stillgate/stillgate-{guard,leash} /usr/share/stillgate/gate.lua \
    /usr/share/bash-completion/completions/stillgate /usr/share/zsh/vendor-completions/_stillgate; do
    [[ -s $file ]] || { echo "the package has no $file"; exit 1; }
  done
  dpkg -L stillgate | grep -q '/man1/stillgate.1.gz$'
}

install_wheel() {
  apt-get -qq -y --no-install-recommends install python3-venv python3-click python3-rich >/dev/null
  python3 -m venv --system-site-packages /venv
  /venv/bin/pip install -q --no-index \
    "$given"/stillgate-*-cp"$(python3 -c 'import sys; print("%d%d" % sys.version_info[:2])')"-*.whl
}

# files_of PROGRAM FOLDER...: what it uses is there, and is its own.
files_of() {
  "$1" --version
  "$1" --version | grep -q 'is not there' && exit 1
  local own
  own=$(IFS='|'; shift; echo "$*")
  ! "$1" --version | grep '^[a-z.]*: ' | grep -vE "^[a-z.]*: ($own)/"
}

for kind; do
  step "the $kind"
  "install_$kind"
  [[ -n ${haproxy:-} ]] || start_haproxy "${!kind}"
  if [[ $kind = deb ]]; then
    files_of "$deb" /usr/lib/python3/dist-packages/stillgate /usr/libexec/stillgate
  else
    files_of "$wheel" "/venv/lib/python3[.0-9]*/site-packages/stillgate"
  fi
  hold_with "${!kind}"
done
if [[ $# = 2 ]]; then
  step 'both beside each other: without its own guard neither takes the other'"'"'s'
  files_of "$deb" /usr/lib/python3/dist-packages/stillgate /usr/libexec/stillgate
  rm /venv/lib/python3*/site-packages/stillgate/stillgate-guard
  "$wheel" --version | grep '^guard: .*(is not there)$'
  ! "$wheel" --version | grep '^guard: /usr/libexec/'
fi
