# What run.sh and release.sh share: chroots of Debian's suites, in .cache/platforms. It wants root,
# and Debian's archive as apt on this machine has it.
# shellcheck shell=bash
cache=$(realpath .cache)
# shellcheck disable=SC2016
archive=$(apt-get indextargets --format '$(REPO_URI)|$(COMPONENT)|' 'Created-By: Packages' |
  sed -n '/|main|/{s/|.*//;/security/!p}' | head -1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$cache/platforms"

# in_chroot ROOT [--net] COMMAND...: its mounts and processes are its own, and end with it.
in_chroot() {
  local root=$1 network=(--net)
  shift
  [[ $1 != --net ]] || { network=(); shift; }
  unshare --mount --pid --fork --kill-child --propagation private "${network[@]}" bash -euc '
    root=$1 haproxies=$2
    shift 2
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    # Their loaders are named by this path.
    mkdir -p "$root$haproxies" && mount --bind -o ro "$haproxies" "$root$haproxies"
    exec nice -n 1 chroot "$root" env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
      PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
      STILLGATE_HAPROXY_CACHE="$haproxies" "$@"' - "$root" "$cache/haproxy" "$@"
}

# Ubuntu's keys, out of a package of Debian, whose signature apt has checked. Prints their file.
ubuntu_keys() {
  local kept=$cache/platforms/ubuntu-archive-keyring.gpg sid=$cache/platforms/sid
  if [[ ! -s $kept ]]; then
    bootstrap sid "$sid" >&2
    in_chroot "$sid" --net bash -euc 'rm -rf /keys && mkdir /keys && cd /keys
      apt-get -qq download ubuntu-keyring && dpkg -x ubuntu-keyring_*.deb .' >&2
    cp "$sid/keys/usr/share/keyrings/ubuntu-archive-keyring.gpg" "$kept"
  fi
  echo "$kept"
}

# bootstrap SUITE ROOT: the smallest system of it, made once; its apt knows the archive.
bootstrap() {
  local suite=$1 root=$2 from=$archive trusted=$keys components=main script=()
  case $suite in
    jammy | noble)
      from=http://archive.ubuntu.com/ubuntu components='main universe'
      # Debian's debootstrap does not know the newest by name; one script serves them all.
      trusted=$(ubuntu_keys) script=(/usr/share/debootstrap/scripts/gutsy)
      ;;
  esac
  if [[ ! -e $root/.bootstrapped ]]; then
    command -v debootstrap >/dev/null || apt-get -qq -y install debootstrap >/dev/null
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase --keyring="$trusted" "$suite" "$root" "$from" "${script[@]}"
    # What a power failure would spoil is made again.
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    touch "$root/.bootstrapped"
  fi
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  echo "deb $from $suite $components" >"$root/etc/apt/sources.list"
  # A mirror that stands still is as good here: what it has is signed all the same.
  in_chroot "$root" --net apt-get -qq -o Acquire::Check-Valid-Until=false update
}

# copy_tree ROOT: what git knows of this tree, as ROOT/src.
copy_tree() {
  rm -rf "$1/src"
  mkdir "$1/src"
  git ls-files -z | tar --null --files-from=- --create | tar --extract --directory "$1/src"
}

# wheels_in ROOT NAME...: what pip fetches elsewhere, as wheels of what Debian has installed there, in
# ROOT/wheels. It wants python3-setuptools-whl, and copy_tree.
wheels_in() {
  local root=$1
  shift
  # shellcheck disable=SC2016
  in_chroot "$root" bash -euc 'rm -rf /wheels && mkdir /wheels
    cp /usr/share/python-wheels/setuptools-*.whl /wheels
    python3 /src/tests/platforms/wheels_of.py /wheels "$@"' - \
    wheel pybind11 click rich markdown-it-py mdurl pygments "$@"
}
