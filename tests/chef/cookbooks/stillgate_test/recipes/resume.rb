# Lets through what is held.
stillgate_traffic 'balanced' do
  action :resume
end
