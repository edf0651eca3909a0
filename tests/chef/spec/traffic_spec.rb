# stillgate_traffic: what it asks, what it sends, and when it sends nothing.
require_relative 'spec_helper'

RSpec.describe 'stillgate_traffic' do
  include_context 'with stillgate answered for'
  step_into :stillgate_traffic

  context 'without an action' do
    recipe { stillgate_traffic 'balanced' }

    it 'does nothing' do
      expect(chef_run).to nothing_stillgate_traffic('balanced')
      expect(calls).to be_empty
    end
  end

  context 'with :suspend' do
    recipe do
      stillgate_traffic 'balanced' do
        max_hold 20
        drain_timeout 3
        drain_except %w(sockets feeds)
        on_reload :reject
        method :gate
        reason 'migration 42; $HOME'
        owner 'chef@fauxhai.local'
        accept_hazard true
        accept_shared_fate true
        action :suspend
      end
    end

    it 'holds what is open, each word by itself' do
      chef_run
      expect(words_of('status')).to eq(['/opt/stillgate/bin/stillgate', 'status', '--json', *FLEET_WORDS, 'balanced'])
      expect(words_of('suspend')).to eq(
        ['/opt/stillgate/bin/stillgate', 'suspend', '--json', *FLEET_WORDS, '--method=gate', '--max-hold=20',
         '--drain-timeout=3', '--drain-except=sockets,feeds', '--on-expiry=release', '--on-reload=reject',
         '--reason=migration 42; $HOME',
         '--owner=chef@fauxhai.local', '--accept-hazard', '--accept-shared-fate', 'balanced']
      )
    end

    it 'resumes by its id where it is stopped just behind the hold' do
      stopped_behind << 'suspend'
      expect { chef_run }.to raise_error(SystemExit)
      expect(acts).to eq(%w(suspend resume))
      expect(words_of('resume')).to include("--hold=#{HOLD_ID}")
    end

    it 'says what is held, until when and what ends it, where it cannot be taken back' do
      stopped_behind << 'suspend'
      error = { 'code' => 'connect_failed', 'message' => 'nobody answers', 'haproxy' => nil }
      answers['resume'] = document('unknown', ok: false, owner: 'chef@fauxhai.local', error: error)
      command = "/opt/stillgate/bin/stillgate resume #{FLEET_WORDS.join(' ')} --hold=#{HOLD_ID} balanced"
      expect { chef_run }.to raise_error(/still_held: balanced at .* until 2026-11-28T16:34:50.000Z; to end it: #{command}$.*connect_failed/m)
    end

    it 'says it where the call itself was stopped and could not take it back' do
      stopped_behind << 'suspend'
      error = { 'code' => 'still_held', 'message' => 'the words of the call', 'haproxy' => nil }
      answers['suspend'] = document('held', ok: false, owner: 'chef@fauxhai.local', error: error)
      expect { chef_run }.to raise_error(/still_held: the words of the call/)
      expect(acts).to eq(%w(suspend))
    end

    it 'leaves what is held by the same owner' do
      answers['status'] = HELD
      chef_run
      expect(acts).to be_empty
    end

    it 'asks for the hold where somebody else has it, and fails with who that is' do
      answers['status'] = document('held', owner: 'anna@lb')
      error = { 'code' => 'already_held', 'message' => 'already held by anna@lb', 'haproxy' => nil }
      answers['suspend'] = document('unchanged', ok: false, error: error)
      expect { chef_run }.to raise_error(/already_held: already held by anna@lb/)
    end

    it 'takes a hold that is past its deadline for none' do
      answers['status'] = document('held', owner: 'chef@fauxhai.local', finding: 'overdue')
      chef_run
      expect(acts).to eq(%w(suspend))
    end

    it "fails with the endpoint, the code and HAProxy's words" do
      error = { 'code' => 'permission_denied', 'message' => 'the level does not allow it', 'haproxy' => 'Permission denied' }
      answers['suspend'] = document('unchanged', ok: false, error: error)
      expect { chef_run }.to raise_error(
        %r{suspend: /run/a\.sock, balanced \(unchanged\): permission_denied: .* \(HAProxy said: Permission denied\)}
      )
    end

    it 'tells what a program that gives no document says' do
      answers['suspend'] = 'Traceback'
      expect { chef_run }.to raise_error(/ended with status 1 and no result: the last words/)
    end
  end

  context 'with :suspend that does not wait for the drain' do
    recipe do
      stillgate_traffic 'balanced' do
        wait_for_drain false
        action :suspend
      end
    end

    it 'says so' do
      chef_run
      expect(words_of('suspend')).to include('--drain-timeout=0')
    end
  end

  context 'with :resume' do
    recipe do
      stillgate_traffic 'both' do
        frontends %w(balanced other)
        fleet 'production'
        inventory '/etc/fleets.toml'
        ramp 2.5
        limit 2000
        wait_up true
        wait_up_for %w(app api)
        cutover 'green'
        timeout 30
        action :resume
      end
    end

    it 'lets through what is held' do
      answers['status'] = HELD
      chef_run
      expect(words_of('resume')[3..]).to eq(
        %w(--fleet=production --inventory=/etc/fleets.toml --limit=2000
           --owner=chef@fauxhai.local --cutover=green --ramp=2.5 --retry-for=10 --wait-up-for=app,api --wait-up balanced other)
      )
      expect(options[calls.index(words_of('resume'))]).to include(timeout: 30)
    end

    it 'leaves what is open' do
      chef_run
      expect(acts).to be_empty
    end

    it 'ends a hold that is on record and may come back' do
      answers['status'] = document('open', finding: 'already_open')
      chef_run
      expect(acts).to eq(%w(resume))
    end

    it 'asks how a hold has ended of which nobody was told' do
      answers['status'] = document('open', finding: 'too_late')
      answers['resume'] = document('open', ok: false, error: { 'code' => 'hold_ended', 'message' => 'over', 'haproxy' => nil })
      expect { chef_run }.to raise_error(/hold_ended: over/)
    end

    it 'goes on where not everything can be asked' do
      answers['status'] = document('unknown', ok: false, error: { 'code' => 'no_such_socket', 'message' => 'gone', 'haproxy' => nil })
      chef_run
      expect(acts).to eq(%w(resume))
    end
  end

  {
    'max_hold 0' => /max_hold's value 0 must be from 0.1/,
    'max_hold Float::NAN' => /max_hold/,
    "method 'magic'" => /hold_method must be equal to one of/,
    "frontends '--json'" => /frontends's value .* may have letters/,
    'fleet []' => /fleet's value \[\] must name an endpoint/,
    "fleet ['']" => /fleet's value .* must not have an empty endpoint/,
    'limit 0' => /limit's value 0 must be from 1/,
    'cutover({})' => /cutover: names no server/,
    "cutover(servers: { 'app/s1' => 'redy', 's2' => 'ready' })" => %r{cutover: servers: app/s1 => "redy": must be ready, drain, maint\ncutover: servers: s2 => "ready": must be named BACKEND/SERVER},
    "cutover(weights: { 'app/s1' => 257 })" => %r{cutover: weights: app/s1 => 257: must be a whole number from 0 to 256},
    "cutover(maps: { '/r.map' => { 'a=b' => 'x' } })" => %r{cutover: maps: /r.map: a=b => "x": must be a key without =},
    "cutover(maps: { '/r.map' => 'x' })" => %r{cutover: maps: /r.map: must be a Hash of keys and values, not "x"},
    "cutover(server: { 'app/s1' => 'ready' })" => /cutover: server: is none of servers, weights, maps/,
    'cutover 7' => /cutover/,
  }.each do |line, message|
    context "with #{line}" do
      recipe do
        stillgate_traffic 'balanced' do
          instance_eval(line)
          action :suspend
        end
      end

      it 'refuses, and nothing is sent' do
        expect { chef_run }.to raise_error(Chef::Exceptions::ValidationFailed, message)
        expect(calls).to be_empty
      end
    end
  end
end
