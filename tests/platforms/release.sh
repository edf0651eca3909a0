#!/bin/bash
# Makes what a release consists of, in build/release, and shows it in clean chroots: the sdist, wheels
# and a .deb for each suite, notes and checksums: release.sh [make|show] [SUITE...]. Called by `make release`,
# as root. What is built has no network. `make` and `show` do one half of it alone; what has been made from
# the same files with the same packages is not made again.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/platforms/chroot.sh
source tests/platforms/chroot.sh
python=${PYTHON:-python3}
version=$(cat VERSION)
release=$PWD/build/release
part=all
if [[ ${1:-} = make || ${1:-} = show ]]; then part=$1; shift; fi
# Each gives the wheel of its own Python, a released Debian a .deb, too. Ubuntu 22.04 has Boost and pybind11
# from Debian 12, so that comes before it.
[[ $# -gt 0 ]] || set -- bookworm trixie sid noble jammy
# Debian 11's Python runs on Debian 12, and its wheel is built there.
declare -A borrowed=([bookworm]='bullseye 3.9')
needed=(g++ ccache cmake ninja-build pkg-config libfmt-dev libssl-dev libssh2-1-dev zlib1g-dev iproute2
  python3-dev python3-pip python3-wheel python3-setuptools build-essential)
own=(pybind11-dev python3-pybind11 python3-setuptools-whl python3-click python3-rich python3-tomli debhelper dh-python
  lintian)

prepare() {
  local suite=$1 root=$2 oldest=$cache/platforms/bookworm boost=libboost-dev also
  [[ $suite != bookworm ]] || boost=libboost1.81-dev
  bootstrap "$suite" "$root"
  mkdir -p build/wheels
  rm -rf "build/wheels/$suite"
  if [[ $suite = jammy ]]; then
    in_chroot "$root" --net apt-get -qq -y --no-install-recommends install "${needed[@]}" >/dev/null
    rm -rf "$root/boost" "$root/wheels"
    mkdir "$root/boost"
    cp -r "$oldest/usr/include/boost" "$root/boost"
    cp -r "$oldest/wheels" "$root/wheels"
    # The same source package, which Ubuntu's archive does not have everywhere.
    mkdir -p "$root/libssh2"
    cp -r "$oldest/libssh2/source" "$root/libssh2"
    # Its own setuptools is older than the table [project] of pyproject.toml.
    in_chroot "$root" python3 -m pip install -q --upgrade --no-index --find-links /wheels pybind11 setuptools wheel
    copy_tree "$root"
  else
    in_chroot "$root" --net apt-get -qq -y --no-install-recommends install "${needed[@]}" "${own[@]}" "$boost" >/dev/null
    copy_tree "$root"
    # What Python 3.9 and 3.10 want besides. From Debian 13 on it is compiled, and for one Python alone.
    also=()
    [[ $suite != bookworm ]] || also=(tomli)
    wheels_in "$root" "${also[@]}"
  fi
  cp -r "$root/wheels" "build/wheels/$suite"
  in_chroot "$root" --net bash /src/tests/platforms/libssh2.sh /libssh2
}

# in_clean SUITE SCRIPT WORD...: a script of this folder in a system of which nothing stays; this tree is
# there by its own path, to be read.
in_clean() {
  local suite=$1 script=$2 base=$cache/platforms/$1-clean
  shift 2
  bootstrap "$suite" "$base"
  # shellcheck disable=SC2016
  unshare --mount --propagation private bash -euc '
    base=$1 tree=$2 scratch=$3
    shift 3
    mount -t tmpfs tmpfs "$scratch"
    mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
    mkdir -p "$scratch/root$tree"
    mount --bind -o ro "$tree" "$scratch/root$tree"
    mount -t proc proc "$scratch/root/proc"
    mount --rbind /dev "$scratch/root/dev"
    exec nice -n 1 unshare --pid --fork --kill-child --mount-proc="$scratch/root/proc" chroot "$scratch/root" \
      env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
    ' - "$base" "$PWD" "$(mktemp -d "$cache/platforms/scratch.XXXXXX")" bash "$PWD/tests/platforms/$script" "$@"
  rmdir "$cache"/platforms/scratch.* 2>/dev/null || true
}

# made_from ROOT: a word for all that goes into what is built there.
made_from() {
  {
    { git ls-files -z -- . ':!tests'; git ls-files -z tests/platforms/{package,libssh2,borrow}.sh; } | xargs -0 sha256sum
    in_chroot "$1" dpkg-query -W
  } | sha256sum
}

make_for() {
  local suite=$1 root=$cache/platforms/$1 pythons=(python3) lender number from
  prepare "$suite" "$root"
  read -r lender number <<<"${borrowed[$suite]:-}"
  if [[ -n $number ]]; then
    in_chroot "$root" --net bash /src/tests/platforms/borrow.sh "$lender" "python$number-dev"
    pythons+=("python$number")
  fi
  from=$(made_from "$root")
  if [[ $from != "$(cat "$root/made-from" 2>/dev/null)" ]]; then
    rm -f "$root/made-from"
    in_chroot "$root" bash /src/tests/platforms/package.sh "${pythons[@]}"
    echo "$from" >"$root/made-from"
  fi
  "$python" tests/platforms/check_wheel.py "$root"/dist/*.whl
  cp "$root"/dist/* "$release"
}

show_for() {
  local suite=$1
  if compgen -G "$cache/platforms/$suite/dist/*.deb" >/dev/null; then
    in_clean "$suite" clean.sh deb
    in_clean "$suite" clean.sh wheel deb
  else
    in_clean "$suite" clean.sh wheel
  fi
  # shellcheck disable=SC2086 # It is two words.
  [[ -z ${borrowed[$suite]:-} ]] || in_clean "$suite" clean.sh lent ${borrowed[$suite]}
  # docs/install.md's packages are too old in Ubuntu 22.04.
  [[ $suite = jammy ]] || in_clean "$suite" clean.sh source
  # Chef's gems are built for this machine's Ruby, Debian 12's.
  [[ $suite = bookworm ]] || return 0
  tests/chef/gems.sh
  in_clean bookworm clean_chef.sh deb
  in_clean bookworm clean_chef.sh wheel
}

if [[ $part != show ]]; then
  [[ $part != all ]] || rm -rf "$release"
  mkdir -p "$release"
  for suite; do make_for "$suite"; done
  "$python" tests/platforms/notes.py "$version" <CHANGELOG.md >"$release/NOTES.md"
fi
[[ $part != make ]] || exit 0
for suite; do show_for "$suite"; done
(cd "$release" && rm -f SHA256SUMS && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
