# Resources inside a hold: they mark where they are, and go on when the test says so.
folder = node['stillgate_test']['folder']

stillgate_hold 'balanced' do
  method node['stillgate_test']['method']
  max_hold node['stillgate_test']['max_hold']
  reason 'migration 42'
  rehearse node['stillgate_test']['rehearse']
  block do
    file "#{folder}/first" do
      content 'held'
    end

    execute 'migrate' do
      command "touch #{folder}/inside; until [ -e #{folder}/over ]; do sleep 0.01; done; touch #{folder}/migrated"
      creates "#{folder}/migrated"
      notifies :create, 'file[told]', :delayed
    end

    file 'told' do
      path "#{folder}/told"
      action :nothing
    end
  end
end
