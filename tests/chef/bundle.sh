#!/usr/bin/env bash
# Bundler with the gems of tests/chef/Gemfile, in a folder of the project's: bundle.sh exec rspec.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/chef
export BUNDLE_GEMFILE=${STILLGATE_GEMFILE:-$here/Gemfile} BUNDLE_PATH="$cache/gems"
export BUNDLE_APP_CONFIG="$cache" BUNDLE_USER_HOME="$cache/home" BUNDLE_SILENCE_ROOT_WARNING=1
export CHEF_LICENSE=accept-no-persist
exec bundle "$@"
