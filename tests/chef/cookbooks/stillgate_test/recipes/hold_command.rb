# A command inside a hold.
stillgate_hold 'balanced' do
  method node['stillgate_test']['method']
  max_hold node['stillgate_test']['max_hold']
  command node['stillgate_test']['command']
  on_failure node['stillgate_test']['on_failure']
  cutover node['stillgate_test']['cutover']
  wait_up node['stillgate_test']['wait_up']
  cwd node['stillgate_test']['folder']
  environment 'PGPASSWORD' => node['stillgate_test']['secret']
end
