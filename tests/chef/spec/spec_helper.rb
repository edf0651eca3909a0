# ChefSpec over the cookbook itself. `stillgate` is answered for: here it is the words of the calls that
# are tested, and what a resource makes of each answer. The real one is run by tests/integration.
require 'chefspec'
require 'json'
require 'tmpdir'

RSpec.configure do |config|
  config.cookbook_root = File.expand_path('../../../recipes/stillgate', __dir__)
  config.cookbook_path = File.dirname(config.cookbook_root)
  config.platform = 'debian'
  config.version = '12'
  # What is let is asked for by another thread while this one converges.
  config.threadsafe = false
end

FLEET = %w(/run/a.sock tcp://lb2:9999).freeze
FLEET_WORDS = FLEET.map { |url| "--endpoint=#{url}" }.freeze
HOLD_ID = '5164f8ab51a05336'.freeze

# A document of `stillgate --json`, with one switch per endpoint.
def document(verdict, ok: true, owner: nil, error: nil, finding: nil)
  switches = FLEET.map do |url|
    {
      'endpoint' => url, 'frontend' => 'balanced', 'verdict' => verdict, 'hold_id' => owner && HOLD_ID,
      'findings' => finding ? [{ 'code' => finding }] : [], 'error' => error
    }
  end
  holds = owner ? [{ 'id' => HOLD_ID, 'owner' => owner, 'deadline' => '2026-11-28T16:34:50.000Z' }] : []
  { 'schema' => 1, 'ok' => ok, 'holds' => holds, 'switches' => switches, 'error' => nil }.to_json
end

OPEN = document('open').freeze
HELD = document('held', owner: 'chef@fauxhai.local').freeze
RESUMED = document('resumed', owner: 'chef@fauxhai.local').freeze

RSpec.shared_context 'with stillgate answered for' do
  platform 'debian', '12'
  default_attributes['stillgate']['fleet'] = FLEET
  default_attributes['stillgate']['program'] = '/opt/stillgate/bin/stillgate'
  default_attributes['stillgate']['path'] = '/opt/stillgate'
  default_attributes['stillgate']['inventory'] = nil

  # By verb: what it answers.
  let(:answers) { { 'status' => OPEN, 'suspend' => HELD, 'resume' => RESUMED } }
  let(:calls) { [] }
  # The verb behind which Chef is stopped, as its handler of SIGINT does that: in the main thread.
  let(:stopped_behind) { [] }
  let(:options) { [] }

  before do
    [:stubs_for_provider, :stubs_for_current_value].each do |stubs|
      send(stubs, nil) { |object| answer_for(object) }
    end
  end

  def answer_for(object)
    return unless object.is_a?(StillgateCookbook::Helpers)

    allow(object).to receive(:shell_out) do |*words, **given|
      calls << words
      options << given
      answer = answers.fetch(words[1])
      Thread.main.raise(SystemExit) if stopped_behind.delete(words[1])
      double(stdout: answer, stderr: 'the last words', exitstatus: answer.start_with?('{') ? 0 : 1)
    end
  end

  # Without the looks: Chef itself looks before and behind an action.
  def acts
    calls.map { |words| words[1] } - %w(status)
  end

  # Calls the block instead of converging a collection that has a resource of that name: ChefSpec
  # carries out nothing but what it steps into.
  def converging_instead(name)
    allow_any_instance_of(Chef::Runner).to receive(:converge).and_wrap_original do |original|
      inside = original.receiver.run_context.resource_collection.map(&:name).include?(name)
      inside ? yield : original.call
    end
  end

  def words_of(verb)
    calls.find { |words| words[1] == verb }
  end
end
