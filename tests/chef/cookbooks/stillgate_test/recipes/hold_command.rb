# A command inside a hold.
stillgate_hold 'balanced' do
  method node['stillgate_test']['method']
  max_hold node['stillgate_test']['max_hold']
  command node['stillgate_test']['command']
  cwd node['stillgate_test']['folder']
  environment 'PGPASSWORD' => node['stillgate_test']['secret']
end
