# Holds, and leaves it so.
stillgate_traffic 'balanced' do
  method node['stillgate_test']['method']
  max_hold node['stillgate_test']['max_hold']
  drain_timeout node['stillgate_test']['drain_timeout']
  reason 'migration 42'
  action :suspend
end
