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
  config test['config']
  haproxy test['haproxy']
  notifies :run, 'execute[reload haproxy]'
end

template test['config'] do
  source 'haproxy.cfg.erb'
  variables(lazy { { test: test, gate: stillgate_gate_lines('balanced', **gate_options) } })
  verify "#{test['haproxy']} -c -f %{path}"
  notifies :run, 'execute[reload haproxy]'
end
