# A block that cannot be compiled.
folder = node['stillgate_test']['folder']

stillgate_hold 'balanced' do
  block do
    file "#{folder}/never" do
      contents 'there is no such property'
    end
  end
end
