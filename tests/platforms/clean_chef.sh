#!/bin/bash
# What release.sh does in a clean system with Ruby and the real Chef: clean_chef.sh deb|wheel. The cookbook
# installs Stillgate, its next run leaves that alone, and its stillgate_hold holds a real HAProxy.
set -euo pipefail
# shellcheck source=tests/platforms/clean_stage.sh
source "$(dirname "$0")/clean_stage.sh"
tree=$(realpath "$(dirname "$0")/../..")
apt-get -qq -y --no-install-recommends install ruby bundler >/dev/null
if [[ $1 = deb ]]; then
  source=$(echo "$given"/stillgate_*+deb"$VERSION_ID"_*.deb)
  program=/usr/bin/stillgate
else
  apt-get -qq -y --no-install-recommends install python3-venv >/dev/null
  source=$(echo "$given"/stillgate-*-cp"$(python3 -c 'import sys; print("%d%d" % sys.version_info[:2])')"-*.whl)
  program=/opt/stillgate/bin/stillgate
fi

mkdir /tmp/chef
cat >/tmp/chef/client.rb <<CLIENT
cookbook_path ['$tree/recipes', '$tree/tests/chef/cookbooks']
chef_repo_path '/tmp/chef'
cache_path '/tmp/chef/cache'
node_name 'here'
minimal_ohai true
CLIENT
cat >/tmp/chef/attributes.json <<ATTRIBUTES
{"stillgate": {"source": "$source", "fleet": ["unix:///tmp/admin.sock"]},
 "stillgate_test": {"folder": "/tmp", "command": "touch /tmp/converged", "method": "gate", "wheels": "$wheels"}}
ATTRIBUTES
converge() {
  HOME=/tmp/chef BUNDLE_FROZEN=1 "$tree/tests/chef/bundle.sh" exec chef-client -z -c /tmp/chef/client.rb \
    -j /tmp/chef/attributes.json --no-color -o "recipe[stillgate_test::$1]" | tee /tmp/chef/said
}

step "Chef installs the $1"
converge package
grep -q ' 1/1 resources updated' /tmp/chef/said
converge package
grep -q ' 0/1 resources updated' /tmp/chef/said
start_haproxy "$program"
converge hold_command
[[ -e /tmp/converged ]]
"$program" history --limit 1
