#!/bin/bash
# Builds the static libssh2 that goes into wheels, from the source package of this system, with its
# patches: libssh2.sh FOLDER. Debian 13's own libssh2.a is not position-independent, and a module cannot
# have that inside. It wants root and apt; what is there is not fetched or made again.
set -euo pipefail
folder=$1
has=$(dpkg-query -W -f '${source:Version}' libssh2-1-dev)
mkdir -p "$folder/source"
cd "$folder/source"
if [[ ! -e libssh2_$has.dsc ]]; then
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/stillgate-sources.list
  trap 'rm -f /etc/apt/sources.list.d/stillgate-sources.list' EXIT
  apt-get -qq -o Acquire::Check-Valid-Until=false update
  # apt checks the archive's signature and checksums. It fetches as root: nobody else may write here.
  apt-get -qq -o APT::Sandbox::User=root source --download-only "libssh2=$has" >/dev/null
fi
[[ ! -e $folder/libssh2-$has.a ]] || exit 0
work=$(mktemp -d)
dpkg-source --extract "libssh2_$has.dsc" "$work/libssh2" >/dev/null
cd "$work"
cmake -S libssh2 -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
  -DBUILD_SHARED_LIBS=OFF -DBUILD_STATIC_LIBS=ON -DBUILD_EXAMPLES=OFF -DBUILD_TESTING=OFF \
  -DCRYPTO_BACKEND=OpenSSL -DENABLE_ZLIB_COMPRESSION=ON \
  -DCMAKE_C_FLAGS=-Wno-deprecated-declarations --log-level=WARNING
cmake --build build
cp build/src/libssh2.a "$folder/libssh2-$has.a"
ln -sf "libssh2-$has.a" "$folder/libssh2.a"
cd /
rm -rf "$work"
