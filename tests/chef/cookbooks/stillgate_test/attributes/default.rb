# What the tests vary; the fleet is node['stillgate']['fleet'].
default['stillgate_test']['method'] = 'auto'
default['stillgate_test']['max_hold'] = 20
default['stillgate_test']['drain_timeout'] = 5
default['stillgate_test']['secret'] = 'hunter2'
default['stillgate_test']['rehearse'] = false
default['stillgate_test']['folder'] = nil
default['stillgate_test']['on_failure'] = nil
default['stillgate_test']['cutover'] = nil
default['stillgate_test']['wait_up'] = false
default['stillgate_test']['wheels'] = nil
