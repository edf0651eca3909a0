# stillgate_gate, stillgate_package and the default recipe.
require_relative 'spec_helper'

RSpec.describe 'stillgate_gate' do
  include_context 'with stillgate answered for'
  step_into :stillgate_gate

  context 'on a machine without it' do
    recipe { stillgate_gate 'gate' }

    before { answers.update('gate' => '{-- the gate', '-c' => '{}') }

    it "makes the folder haproxy's own, and writes the file" do
      expect(chef_run).to create_directory('/var/lib/haproxy/stillgate').with(owner: 'haproxy', group: 'haproxy', mode: '0700')
      expect(chef_run).to create_file('/etc/haproxy/stillgate-gate.lua').with(content: '{-- the gate', mode: '0644')
    end
  end
end

RSpec.describe 'stillgate_package' do
  include_context 'with stillgate answered for'
  step_into :stillgate_package

  context 'from an index that wants a password' do
    recipe do
      stillgate_package 'stillgate' do
        version '0.1.0'
        index_url 'https://user:hunter2@pypi.example/simple'
      end
    end

    it 'keeps it off the command line, and lets nobody else write what it installs' do
      stubs_for_provider(nil) do |provider|
        allow(provider).to receive(:shell_out!) do |*words, **given|
          calls << words
          options << given
        end
      end
      allow(File).to receive(:write).and_call_original
      expect(File).to receive(:write).with('/opt/stillgate/.stillgate-source', '').and_return(0)
      chef_run
      expect(calls.first).to eq(%w(/usr/bin/python3 -m venv /opt/stillgate))
      expect(calls.last).to eq(%w(/opt/stillgate/bin/python -m pip install --disable-pip-version-check stillgate==0.1.0))
      expect(options).to all(include(umask: 0o022))
      expect(options.last[:environment]).to eq('PIP_INDEX_URL' => 'https://user:hunter2@pypi.example/simple')
    end
  end
end

RSpec.describe 'stillgate_package' do
  include_context 'with stillgate answered for'
  step_into :stillgate_package

  context 'of a .deb' do
    let(:file) { '/srv/stillgate_0.1.0+deb12_amd64.deb' }
    let(:installed) { nil }

    before do
      allow(File).to receive(:file?).and_call_original
      allow(File).to receive(:file?).with(file).and_return(true)
      stubs_for_current_value(nil) do |resource|
        status = installed ? 0 : 1
        allow(resource).to receive(:shell_out).and_return(double(stdout: "ii #{installed}", exitstatus: status))
      end
      stubs_for_provider(nil) do |provider|
        allow(provider).to receive(:shell_out!) do |*words, **|
          calls << words
          double(stdout: "0.1.0+deb12\n")
        end
      end
    end

    recipe do
      stillgate_package 'stillgate' do
        source '/srv/stillgate_0.1.0+deb12_amd64.deb'
      end
    end

    it 'has apt install it, with what it depends on' do
      chef_run
      expect(calls.map(&:first).uniq).to eq(%w(apt-get))
      expect(calls.last).to eq(%W(apt-get --yes install --no-install-recommends --allow-downgrades #{file}))
    end

    context 'that is installed' do
      let(:installed) { '0.1.0+deb12' }

      it 'leaves it alone' do
        chef_run
        expect(calls).to eq([%W(dpkg-deb --field #{file} Version)])
      end
    end

    context 'where another version is installed' do
      let(:installed) { '0.0.9+deb12' }

      it 'installs this one' do
        chef_run
        expect(calls.last).to include('install', file)
      end
    end
  end
end

RSpec.describe 'stillgate_package' do
  include_context 'with stillgate answered for'
  step_into :stillgate_package

  context 'to be removed' do
    recipe do
      stillgate_package 'stillgate' do
        path '/opt/old'
        action :remove
      end
    end

    it 'removes the environment' do
      expect(chef_run).to delete_directory('/opt/old').with(recursive: true)
    end
  end
end

RSpec.describe 'stillgate::default' do
  platform 'debian', '12'

  it 'installs what the environment needs, and the package' do
    expect(chef_run).to install_package(%w(python3 python3-venv))
    expect(chef_run).to install_stillgate_package('stillgate')
  end
end

RSpec.describe 'the program that resources call' do
  include_context 'with stillgate answered for'
  recipe { stillgate_traffic 'balanced' }
  # Loads the libraries.
  before { chef_run }

  let(:node) { { 'stillgate' => { 'program' => nil, 'path' => '/opt/stillgate' } } }

  it 'is what the node names, else in the environment, else of the .deb' do
    there = []
    allow(File).to receive(:exist?) { |path| there.include?(path) }
    expect(StillgateCookbook::Program.of(node)).to eq('/opt/stillgate/bin/stillgate')
    there << '/usr/bin/stillgate'
    expect(StillgateCookbook::Program.of(node)).to eq('/usr/bin/stillgate')
    there << '/opt/stillgate/bin/stillgate'
    expect(StillgateCookbook::Program.of(node)).to eq('/opt/stillgate/bin/stillgate')
    named = { 'stillgate' => { 'program' => '/srv/stillgate', 'path' => '/opt/stillgate' } }
    expect(StillgateCookbook::Program.of(named)).to eq('/srv/stillgate')
  end
end
