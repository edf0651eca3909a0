#!/usr/bin/env bash
# Installs the gems of the Chef tests unless they are there, and runs a command with them: gems.sh rspec.
# Where RubyGems cannot be reached it says so and passes; with CI=true it fails.
set -eu
bundle=$(dirname "$0")/bundle.sh

if ! "$bundle" check >/dev/null 2>&1; then
  if ! said=$(gem list --remote --exact chef 2>&1) || [[ $said != *chef* ]]; then
    echo "RubyGems cannot be reached, so Chef's tests are skipped (${*:-all of them}): $said" >&2
    [ "${CI:-}" != true ]
    exit
  fi
  "$bundle" install --quiet
fi
if [ $# = 0 ]; then
  "$bundle" list | grep -E '\* (chef|chefspec|cookstyle) '
else
  # ChefSpec writes a file into the home folder.
  home=$(dirname "$0")/../../.cache/chef/home
  mkdir -p "$home"
  HOME=$(cd "$home" && pwd) exec "$bundle" exec "$@"
fi
