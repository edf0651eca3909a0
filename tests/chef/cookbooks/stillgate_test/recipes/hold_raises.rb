# A block that fails.
folder = node['stillgate_test']['folder']

stillgate_hold 'balanced' do
  method node['stillgate_test']['method']
  max_hold node['stillgate_test']['max_hold']
  block do
    file "#{folder}/inside"

    execute 'the migration' do
      command 'echo half of it is done; exit 9'
    end

    file "#{folder}/never"
  end
end
