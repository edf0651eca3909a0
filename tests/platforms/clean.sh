#!/bin/bash
# What release.sh does in a clean system: it installs as a user would, and holds a real HAProxy with that:
# clean.sh deb | wheel | wheel deb | source | lent SUITE PYTHON
set -euo pipefail
# shellcheck source=tests/platforms/clean_stage.sh
source "$(dirname "$0")/clean_stage.sh"
deb=/usr/bin/stillgate wheel=/venv/bin/stillgate lent=/lent/bin/stillgate source=/opt/stillgate/bin/stillgate
declare -A folders=(
  [deb]='/usr/lib/python3/dist-packages/stillgate|/usr/libexec/stillgate'
  [wheel]='/venv/lib/python3[.0-9]*/site-packages/stillgate'
  [lent]='/lent/lib/python3[.0-9]*/site-packages/stillgate'
  [source]='/opt/stillgate/lib/python3[.0-9]*/site-packages/stillgate'
)

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

# wheel_for PYTHON: the name of ours for it.
wheel_for() {
  echo "$given"/stillgate-*-cp"$("$1" -c 'import sys; print("%d%d" % sys.version_info[:2])')"-*.whl
}

# No package of Python but what a venv needs: Click and Rich come as wheels, which pip finds elsewhere in
# an index.
install_wheel() {
  apt-get -qq -y --no-install-recommends install python3-venv >/dev/null
  python3 -m venv /venv
  /venv/bin/pip install -q --no-index --find-links "$wheels" "$(wheel_for python3)"
}

# With the Python of another Debian, which here has neither pip nor distutils; up to Python 3.9 pip wants
# that, and setuptools has one.
install_lent() {
  bash "$(dirname "$0")/borrow.sh" "$lender" "python$number"
  apt-get -qq -y --no-install-recommends install python3-venv >/dev/null
  python3 -m venv /pip
  "python$number" -m venv --without-pip /lent
  python3 -m zipfile --extract "$(echo "$wheels"/setuptools-*.whl)" /unpacked
  mkdir /distutils
  mv /unpacked/setuptools/_distutils /distutils/distutils
  PYTHONPATH=/distutils /pip/bin/pip --python /lent/bin/python install -q --no-index --find-links "$wheels" \
    "$(wheel_for "python$number")"
}

# As docs/install.md says it, line by line, from the sdist; pip and what it starts have no network.
install_source() {
  local lines
  lines=$(sed -n '/^Debian, and Ubuntu/,/^RHEL/s/^    //p' "$(dirname "$0")/../../docs/install.md")
  [[ $(wc -l <<<"$lines") = 5 ]] || { echo 'docs/install.md has not its five lines for Debian' >&2; return 1; }
  [[ $VERSION_CODENAME != bookworm ]] || lines=${lines//libboost-dev/libboost1.81-dev}
  lines=${lines//apt-get install/apt-get -qq -y --no-install-recommends install}
  lines=$(sed 's|/opt/stillgate/bin/pip |/usr/bin/unshare --net &|' <<<"$lines")
  mkdir /source
  tar --extract --file "$given"/stillgate-*.tar.gz --directory /source --strip-components 1
  cd /source
  # Not optimized: it is to be seen that it builds, and there is no ccache here.
  export PIP_NO_INDEX=1 PIP_FIND_LINKS=$wheels CMAKE_BUILD_TYPE=None
  bash -euxc "$lines" >/dev/null
  # And by what makes wheels of any project, isolated, too.
  apt-get -qq -y --no-install-recommends install python3-build >/dev/null
  unshare --net python3 -m build --wheel --outdir /built >/dev/null
  [[ -s $(echo /built/stillgate-*.whl) ]]
  cd /
}

# files_of KIND: what it uses is there, and is its own.
files_of() {
  local said
  said=$("${!1}" --version)
  echo "$said"
  if grep -q 'is not there' <<<"$said"; then exit 1; fi
  ! grep '^[a-z.]*: ' <<<"$said" | grep -vE "^[a-z.]*: (${folders[$1]})/"
}

kinds=("$@")
[[ $1 != lent ]] || kinds=(lent) lender=$2 number=$3
for kind in "${kinds[@]}"; do
  step "the $kind${number:+, Python $number of $lender}"
  "install_$kind"
  [[ -n ${haproxy:-} ]] || start_haproxy "${!kind}"
  files_of "$kind"
  hold_with "${!kind}"
done
if [[ $* = 'wheel deb' ]]; then
  step 'both beside each other: without its own guard neither takes the other'"'"'s'
  files_of deb
  rm /venv/lib/python3*/site-packages/stillgate/stillgate-guard
  "$wheel" --version | grep '^guard: .*(is not there)$'
  ! "$wheel" --version | grep '^guard: /usr/libexec/'
fi
