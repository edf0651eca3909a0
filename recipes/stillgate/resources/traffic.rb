# Holds or releases the requests of frontends.
unified_mode true
provides :stillgate_traffic
resource_name :stillgate_traffic

# What `use 'fleet'` does, which of Chef 17 fails on Ruby 3.1.
shared = ::File.join(::File.dirname(__FILE__), '_fleet.rb')
class_eval(::File.read(shared), shared)

property :traffic, Symbol,
         equal_to: %i(held open other unasked),
         skip_docs: true,
         description: 'What `stillgate status` found; not for recipes.'

# A why-run contacts no HAProxy: the steps before this one were not done, so the answer would mean
# nothing.
load_current_value do |wanted|
  if Chef::Config[:why_run]
    traffic :unasked
  else
    found = StillgateCookbook::Program.new(wanted.program, self).ask(
      'status', StillgateCookbook::Arguments.fleet(wanted), wanted.frontends, timeout: wanted.timeout
    )
    raise StillgateCookbook::Failed, "status: #{found.failures.join("\n")}" if found.switches.empty?

    traffic found.traffic(wanted.owner)
  end
end

action_class do
  include StillgateCookbook::Calls
end

action :suspend, description: 'Hold, unless already held by the same owner.' do
  next if current_resource.traffic == :held

  converge_by(hold_sentence) { suspend }
end

action :resume, description: 'Release, unless nothing is held. Fails where the hold had ended before.' do
  next if current_resource.traffic == :open

  converge_by(resume_sentence) { resume }
end

# After the actions: otherwise Chef makes the first one the default, and a resource without an action would hold.
default_action :nothing
