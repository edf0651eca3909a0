# Endpoints from nodes, and the gate's lines by section.
require_relative 'spec_helper'

RSpec.describe 'the helpers' do
  include_context 'with stillgate answered for'
  recipe { stillgate_traffic 'balanced' }
  # Loads the libraries.
  before { chef_run }

  def node(name, **attributes)
    Chef::Node.new.tap do |made|
      made.name(name)
      attributes.each { |key, value| made.automatic[key] = value }
    end
  end

  def endpoints(*nodes, **options)
    StillgateCookbook::Endpoints.of(nodes, **options)
  end

  it 'reaches a node by TCP or by SSH at its address' do
    lb = node('lb1', ipaddress: '10.0.0.1', fqdn: 'lb1.example')
    expect(endpoints(lb, tcp: 9999)).to eq(%w(tcp://10.0.0.1:9999))
    expect(endpoints(lb, user: 'deploy', address: 'fqdn')).to eq(%w(ssh://deploy@lb1.example/run/haproxy/admin.sock))
  end

  it 'takes the endpoints that a node names itself' do
    lb = node('lb1', ipaddress: '10.0.0.1', stillgate: { endpoints: %w(tcp://10.1.1.1:1 tcp://10.1.1.1:2) })
    expect(endpoints(lb)).to eq(%w(tcp://10.1.1.1:1 tcp://10.1.1.1:2))
  end

  it 'takes the hashes of a search with filter_result, in an order of its own' do
    found = [{ 'name' => 'lb2', 'ipaddress' => 'fe80::2' }, { 'name' => 'lb1', 'ipaddress' => '10.0.0.1' }]
    expect(endpoints(*found, tcp: 9999)).to eq(%w(tcp://10.0.0.1:9999 tcp://[fe80::2]:9999))
  end

  it 'refuses what would hold less than was meant' do
    lb = { 'name' => 'lb1', 'ipaddress' => '10.0.0.1' }
    expect { endpoints }.to raise_error(Chef::Exceptions::ValidationFailed, /no node found/)
    expect { endpoints(lb, lb, tcp: 9999) }.to raise_error(/two nodes have the endpoint/)
    expect { endpoints({ 'name' => 'lb1' }, tcp: 9999) }.to raise_error(/the node lb1 has no attribute ipaddress/)
  end

  it 'sorts lines by section' do
    text = "# words\n\nglobal\n    # why\n    lua-load /a.lua\n\nfrontend balanced\n    http-request lua.stillgate\n"
    lines = StillgateCookbook::GateLines.by_section(text)
    expect(lines['global']).to eq(['# why', 'lua-load /a.lua'])
    expect(lines['frontend']).to eq(['http-request lua.stillgate'])
    expect(lines['backend']).to eq([])
  end
end
