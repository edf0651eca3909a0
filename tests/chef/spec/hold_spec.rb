# stillgate_hold: the order of things, and every way out.
require_relative 'spec_helper'

RSpec.describe 'stillgate_hold' do
  include_context 'with stillgate answered for'
  step_into :stillgate_hold

  context 'with a block' do
    recipe do
      stillgate_hold 'balanced' do
        max_hold 20
        block { log 'inside' }
      end
    end

    it 'suspends, converges, and ends that hold alone' do
      before = nil
      converging_instead('inside') { before = acts }
      chef_run
      expect(before).to eq(%w(suspend))
      expect(acts).to eq(%w(suspend resume))
      expect(words_of('resume')).to include("--hold=#{HOLD_ID}")
    end

    it 'converges nothing where the suspend is refused' do
      answers['suspend'] = document('unchanged', ok: false, error: { 'code' => 'crash_hazard', 'message' => 'no', 'haproxy' => nil })
      expect { chef_run }.to raise_error(/crash_hazard/)
      expect(acts).to eq(%w(suspend))
    end

    it 'resumes by its id where it is stopped just behind the hold' do
      stopped_behind << 'suspend'
      expect { chef_run }.to raise_error(SystemExit)
      expect(acts).to eq(%w(suspend resume))
      expect(words_of('resume')).to include("--hold=#{HOLD_ID}")
    end

    it 'fails where the hold had ended before' do
      ended = { 'code' => 'hold_ended', 'message' => 'the hold had ended before', 'haproxy' => nil }
      answers['resume'] = document('resumed', ok: false, owner: 'chef@fauxhai.local', error: ended)
      expect { chef_run }.to raise_error(/hold_expired/)
    end

    it 'fails where the hold was over before' do
      answers['resume'] = document('resumed', owner: 'chef@fauxhai.local', finding: 'already_open')
      expect { chef_run }.to raise_error(/hold_expired/)
    end
  end

  context 'with a block that raises' do
    recipe do
      stillgate_hold 'balanced' do
        block do
          execute 'migrate'
        end
      end
    end

    before { converging_instead('migrate') { raise 'half of it is done' } }

    it 'resumes, and fails with what was raised' do
      expect { chef_run }.to raise_error(/half of it is done/)
      expect(acts).to eq(%w(suspend resume))
    end

    it 'tells both where the resume fails too' do
      answers['resume'] = document('unknown', ok: false, error: { 'code' => 'reply_timeout', 'message' => 'late', 'haproxy' => nil })
      expect { chef_run }.to raise_error(/reply_timeout: late.*\nand inside the hold: half of it is done/)
    end
  end

  context 'with a command' do
    recipe do
      stillgate_hold 'balanced' do
        command ['./migrate', '--all', 'a b']
        max_hold 20
        drain_except 'sockets'
        on_reload 'reject'
        grace 1
        wait_up true
        wait_up_for 'app'
        ramp 2
        on_failure './undo --all'
        undo_time 4
        cutover 'green'
        ready_first 7
        environment 'PGPASSWORD' => 'hunter2'
        cwd '/srv'
      end
    end

    before { allow(File).to receive(:directory?).and_call_original }
    before { allow(File).to receive(:directory?).with('/srv').and_return(true) }
    before { answers['hold'] = { 'ok' => true, 'command' => { 'status' => 0 } }.to_json }

    it 'runs it by `stillgate hold`, behind a --, and keeps the environment off the command line' do
      chef_run
      expect(words_of('hold').last(5)).to eq(['balanced', '--', './migrate', '--all', 'a b'])
      expect(words_of('hold')).to include('--grace=1', '--max-hold=20', '--drain-except=sockets', '--on-reload=reject')
      expect(words_of('hold')).to include('--wait-up', '--wait-up-for=app', '--ramp=2', '--retry-for=10', '--on-failure=./undo --all', '--undo-time=4', '--cutover=green', '--ready-first=7')
      expect(words_of('hold').join).not_to include('hunter2')
      expect(options.last).to include(cwd: '/srv', environment: { 'PGPASSWORD' => 'hunter2' }, timeout: 60 + 5 + 10 + 2 + 20 + 7)
    end

    it 'refuses a folder that is not there, and holds nobody' do
      allow(File).to receive(:directory?).with('/srv').and_return(false)
      expect { chef_run }.to raise_error(/cwd: no such folder/)
      expect(calls).to be_empty
    end

    it 'fails with its status, and says what became of all' do
      words = { 'migration' => 'failed', 'undo' => 'done', 'cutover' => 'none', 'traffic' => 'released' }
      answers['hold'] = { 'ok' => false, 'command' => { 'status' => 7, 'ended_by_deadline' => false }, **words }.to_json
      told = 'the command ended with status 7, migration failed, undo done, cutover none, traffic released'
      expect { chef_run }.to raise_error(/#{told}\nthe last words/)
    end
  end

  context 'with a cutover as it is' do
    recipe do
      stillgate_hold 'balanced' do
        command './migrate'
        cutover(
          servers: { 'app/green-1' => :ready, 'app/blue.1' => 'maint' },
          'weights' => { 'app/green-1' => 100 },
          maps: { '/etc/haproxy/release.map' => { active: 'two words', 'b' => 'a=c' } }
        )
      end
    end

    before { answers['hold'] = { 'ok' => true, 'command' => { 'status' => 0 } }.to_json }

    it 'gives each change to the command line, by no name' do
      chef_run
      expect(words_of('hold').grep(/--serve|--cutover/)).to eq(
        %w(--serve=app/green-1=ready --serve=app/blue.1=maint --serve=app/green-1=100) +
        ['--serve=/etc/haproxy/release.map:active=two words', '--serve=/etc/haproxy/release.map:b=a=c']
      )
    end
  end

  context 'with a text for the shell that is sensitive' do
    recipe do
      stillgate_hold 'balanced' do
        command 'migrate --password hunter2'
        sensitive true
      end
    end

    it 'gives it to the shell, and tells nothing of it' do
      answers['hold'] = { 'ok' => false, 'command' => { 'status' => 7 } }.to_json
      expect { chef_run }.to raise_error { |error| expect(error.message).not_to match(/hunter2|the last words/) }
      expect(words_of('hold').last(3)).to eq(['/bin/sh', '-c', 'migrate --password hunter2'])
    end
  end

  context 'with a block and an undo for a command' do
    recipe do
      stillgate_hold 'balanced' do
        block { log 'inside' }
        on_failure './undo'
      end
    end

    it 'refuses' do
      expect { chef_run }.to raise_error(/on_failure: goes with a command/)
      expect(calls).to be_empty
    end
  end

  context 'with neither command nor block' do
    recipe { stillgate_hold 'balanced' }

    it 'refuses' do
      expect { chef_run }.to raise_error(/give a command or a block of resources, not both/)
      expect(calls).to be_empty
    end
  end
end
