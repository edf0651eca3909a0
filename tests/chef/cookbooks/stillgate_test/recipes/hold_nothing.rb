# A hold with nothing inside: for signals at any instant of it.
stillgate_hold 'balanced' do
  max_hold node['stillgate_test']['max_hold']
  block {}
end
