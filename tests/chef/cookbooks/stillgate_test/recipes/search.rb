# Holds at every HAProxy that a search finds.
stillgate_traffic 'balanced' do
  fleet stillgate_endpoints(search(:node, 'stillgate_role:balancer'), tcp: 9999)
  max_hold node['stillgate_test']['max_hold']
  action :suspend
end
