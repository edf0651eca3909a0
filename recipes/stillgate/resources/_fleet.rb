# What stillgate_traffic and stillgate_hold share.
checks = StillgateCookbook::Checks

property :frontends, [String, Array],
         name_property: true,
         coerce: proc { |names| Array(names).map(&:to_s) },
         callbacks: checks.frontends,
         description: 'The frontends to hold.'

property :fleet, [String, Array, nil],
         default: lazy { node['stillgate']['fleet'] },
         coerce: proc { |fleet| StillgateCookbook::Checks.to_fleet(fleet) },
         callbacks: checks.fleet,
         desired_state: false,
         description: 'A fleet of the inventory by its name, or a list of endpoints.'

property :inventory, [String, nil],
         default: lazy { node['stillgate']['inventory'] },
         desired_state: false,
         description: 'The inventory file, instead of the usual places.'

property :program, String,
         default: lazy { StillgateCookbook::Program.of(node) },
         desired_state: false,
         description: 'The installed program.'

property :owner, String,
         default: lazy { "chef@#{node.name}" },
         desired_state: false,
         description: 'The owner of the hold; only the owner ends it before its deadline.'

property :reason, String,
         desired_state: false,
         description: 'Shown to whoever meets the hold.'

property :max_hold, [Integer, Float],
         callbacks: checks.seconds(0.1),
         desired_state: false,
         description: "Seconds after which the hold ends by itself; else the inventory's, else 15."

property :drain_timeout, [Integer, Float],
         default: 5,
         callbacks: checks.seconds(0),
         desired_state: false,
         description: 'Seconds for the requests already in flight to end; then roll back.'

property :wait_for_drain, [true, false],
         default: true,
         desired_state: false,
         description: 'Whether to wait for the requests already in flight.'

property :drain_except, [String, Array],
         callbacks: { 'is empty' => ->(names) { !names.empty? } },
         desired_state: false,
         description: 'Backends whose requests in flight may go on: of WebSockets and other endless streams.'

# Chef lets no property take the name of a method of Ruby's: see below.
property :hold_method, String,
         default: 'auto',
         equal_to: %w(auto gate maxconn),
         coerce: proc(&:to_s),
         desired_state: false,
         description: 'How to hold; auto takes the gate where it is proven. May be written `method`.'

property :on_expiry, String,
         default: 'release',
         equal_to: %w(release reject),
         coerce: proc(&:to_s),
         desired_state: false,
         description: 'What a gate does at the deadline.'

property :on_reload, String,
         default: 'release',
         equal_to: %w(release reject),
         coerce: proc(&:to_s),
         desired_state: false,
         description: 'What a gate does in a worker that a reload replaces.'

property :max_waiting, Integer,
         callbacks: { 'must be from 0 to 1000000000' => ->(number) { number.between?(0, 1_000_000_000) } },
         desired_state: false,
         description: 'Above this many waiting requests per frontend a gate answers 503.'

property :accept_unproven, [true, false],
         default: false,
         desired_state: false,
         description: 'Accept a gate that is loaded but not proven.'

property :accept_hazard, [true, false],
         default: false,
         desired_state: false,
         description: 'Overrule the table of releases that crash on resume.'

property :accept_shared_fate, [true, false],
         default: false,
         desired_state: false,
         description: 'Hold by maxconn even where the guard would end with whoever starts it.'

property :ramp, [Integer, Float],
         callbacks: checks.seconds(0),
         desired_state: false,
         description: 'Open over this many seconds, instead of at once.'

property :limit, Integer,
         callbacks: { 'must be from 1 to 2147483647' => ->(number) { number.between?(1, 2_147_483_647) } },
         desired_state: false,
         description: 'Restore this limit, instead of the recorded one.'

property :cutover, [String, Hash],
         coerce: proc { |wanted| StillgateCookbook::Cutovers.of(wanted) },
         desired_state: false,
         description: 'A cutover of the inventory by its name, or a Hash of servers, weights and maps. Applied to all ' \
                      'HAProxies before anything is released, or to none.'

property :wait_up, [true, false],
         default: false,
         desired_state: false,
         description: 'Release nothing before a check shows a server up in every backend.'

property :wait_up_for, [String, Array],
         callbacks: { 'is empty' => ->(names) { !names.empty? } },
         desired_state: false,
         description: 'With wait_up: the backends to wait for, in place of all. Those that the frontend uses.'

property :retry_for, [Integer, Float],
         default: 10,
         callbacks: checks.seconds(0),
         desired_state: false,
         description: 'Retry unreachable HAProxies for this many seconds.'

property :force, [true, false],
         default: false,
         desired_state: false,
         description: "End somebody else's hold; needs a reason."

property :timeout, [Integer, Float],
         callbacks: { 'must be above 0' => ->(seconds) { seconds > 0 } },
         desired_state: false,
         description: 'Seconds after which a call of stillgate is ended; by default the time it may wait, plus a minute.'

# Ruby's own `method(:name)` stays what it is for names of methods.
def method(word = nil)
  return hold_method if word.nil?

  word.is_a?(Symbol) && respond_to?(word, true) ? super : hold_method(word)
end
