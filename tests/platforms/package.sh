#!/bin/bash
# What release.sh does inside the chroot of a suite: a wheel for each PYTHON, the sdist, and a .deb where it
# is a released Debian, into /dist: package.sh PYTHON...
set -euo pipefail
# shellcheck disable=SC1091
source /etc/os-release
export CMAKE_BUILD_PARALLEL_LEVEL=2 CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR="$HOME/.ccache"
export CCACHE_BASEDIR=/ CCACHE_NOHASHDIR=1
rm -rf /dist /package
mkdir /dist /package
cp -r /src /package/stillgate

cd /src
glibc=$(getconf GNU_LIBC_VERSION | sed 's/glibc //; s/\./_/')
# The one place of the system that CMake is not to look in: libssh2.sh has built another.
export CMAKE_ARGS='-DSTILLGATE_BUNDLED=ON -DSTILLGATE_LIBSSH2_STATIC=/libssh2/libssh2.a'
[[ ! -d /boost ]] || CMAKE_ARGS+=' -DBoost_INCLUDE_DIR=/boost'
# Debian's setuptools asks for what only Debian's own distutils has, and a Python of another Debian has none.
setup='import runpy, sys, setuptools
from distutils.command.install import install
for name in "install_layout", "prefix_option":
    setattr(install, name, getattr(install, name, None))
sys.argv[0] = "setup.py"
runpy.run_path("setup.py", run_name="__main__")'
for python; do
  CMAKE_BUILD_TYPE=Release "$python" -c "$setup" -q bdist_wheel --plat-name "manylinux_${glibc}_$(uname -m)" --dist-dir /dist
done
unset CMAKE_ARGS
python3 setup.py -q sdist --dist-dir /dist
[[ $ID = debian && -n ${VERSION_ID:-} ]] || exit 0

cd /package/stillgate
# One for each Debian: each has its own Python and libraries. An upgrade of Debian upgrades it, too.
sed -i "1s/)/+deb$VERSION_ID)/" debian/changelog
dpkg-buildpackage -us -uc -b
lintian --fail-on error,warning ../stillgate_*.changes
cp ../stillgate_*.deb /dist
