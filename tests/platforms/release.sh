#!/bin/bash
# Makes what a release consists of, in build/release, and shows it in clean chroots: the sdist, a wheel
# for Debian 12's Python, notes and checksums. Called by `make release`, as root.
# What is built and shown has no network.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/platforms/chroot.sh
source tests/platforms/chroot.sh
python=${PYTHON:-python3}
version=$(cat VERSION)
release=$PWD/build/release
# Debian 12 is the oldest whose compiler and Boost will do.
# Debian 13's libssh2.a is not position-independent: a module cannot have it inside.
wheels=(bookworm)
needed=(g++ ccache cmake ninja-build pkg-config libfmt-dev libssl-dev libssh2-1-dev zlib1g-dev iproute2
  pybind11-dev python3-dev python3-pip python3-wheel python3-setuptools python3-pybind11 python3-click python3-rich)

prepare() {
  local suite=$1 root=$2 boost=libboost-dev
  [[ $suite != bookworm ]] || boost=libboost1.81-dev
  bootstrap "$suite" "$root"
  in_chroot "$root" --net apt-get -qq -y --no-install-recommends install \
    "${needed[@]}" "$boost" >/dev/null
  copy_tree "$root"
}

# in_clean SUITE FOLDER COMMAND...: in a system of which nothing stays, with FOLDER as /given.
in_clean() {
  local suite=$1 given=$2 base=$cache/platforms/$1-clean
  shift 2
  bootstrap "$suite" "$base"
  # shellcheck disable=SC2016
  unshare --mount --propagation private bash -euc '
    base=$1 given=$2 scratch=$3
    shift 3
    mount -t tmpfs tmpfs "$scratch"
    mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
    mkdir "$scratch/root/given"
    mount --bind -o ro "$given" "$scratch/root/given"
    mount -t proc proc "$scratch/root/proc"
    mount --rbind /dev "$scratch/root/dev"
    exec nice -n 1 unshare --pid --fork --kill-child --mount-proc="$scratch/root/proc" chroot "$scratch/root" \
      env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
    ' - "$base" "$given" "$(mktemp -d "$cache/platforms/scratch.XXXXXX")" "$@"
  rmdir "$cache"/platforms/scratch.* 2>/dev/null || true
}

rm -rf "$release"
mkdir -p "$release"
for suite in "${wheels[@]}"; do
  root=$cache/platforms/$suite
  prepare "$suite" "$root"
  # shellcheck disable=SC2016
  in_chroot "$root" bash -euc '
    cd /src
    export CMAKE_BUILD_TYPE=Release CMAKE_BUILD_PARALLEL_LEVEL=2 CMAKE_CXX_COMPILER_LAUNCHER=ccache
    export CMAKE_ARGS=-DSTILLGATE_BUNDLED=ON
    glibc=$(getconf GNU_LIBC_VERSION | sed "s/glibc //; s/\./_/")
    rm -rf /dist && mkdir /dist
    python3 setup.py -q bdist_wheel --plat-name "manylinux_${glibc}_$(uname -m)" --dist-dir /dist
    python3 setup.py -q sdist --dist-dir /dist'
  cp "$root"/dist/* "$release"
done

"$python" tests/platforms/check_wheel.py "$release"/*.whl
"$python" tests/platforms/notes.py "$version" <CHANGELOG.md >"$release/NOTES.md"

cp tests/platforms/clean.sh "$release/clean.sh"
for suite in "${wheels[@]}"; do in_clean "$suite" "$release" bash /given/clean.sh; done
rm "$release/clean.sh"
(cd "$release" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
