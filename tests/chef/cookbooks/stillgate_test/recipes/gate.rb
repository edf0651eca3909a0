# The gate, the haproxy.cfg that loads it, and a reload for both.
test = node['stillgate_test']
gate_options = { haproxy: test['version'], state: test['state_folder'], lua: test['lua_file'], probe: test['probe'], exempt: '' }

execute 'reload haproxy' do
  command "echo reload >>#{test['folder']}/reloads; kill -USR2 #{test['pid']}"
  action :nothing
end

stillgate_gate 'gate' do
  lua_file test['lua_file']
  state_folder test['state_folder']
  user test['user'] if test['user']
  group test['group'] if test['group']
  config test['config']
  haproxy test['haproxy']
  notifies :run, 'execute[reload haproxy]'
end

template test['config'] do
  source 'haproxy.cfg.erb'
  variables(lazy { { test: test, gate: stillgate_gate_lines('balanced', **gate_options) } })
  # In a why-run the Lua file is not there yet.
  verify "#{test['haproxy']} -c -f %{path}" unless Chef::Config[:why_run]
  notifies :run, 'execute[reload haproxy]'
end
