# Holds the requests of frontends while a command runs, or while resources converge.
unified_mode true
provides :stillgate_hold
resource_name :stillgate_hold

# What `use 'fleet'` does, which of Chef 17 fails on Ruby 3.1.
shared = ::File.join(::File.dirname(__FILE__), '_fleet.rb')
class_eval(::File.read(shared), shared)

property :command, [String, Array],
         coerce: proc { |words| words.is_a?(Array) ? words.map(&:to_s) : words },
         callbacks: { 'is empty' => ->(words) { !words.empty? } },
         desired_state: false,
         description: 'The command to run inside the hold: a list of words, or text for /bin/sh.'

property :grace, [Integer, Float],
         callbacks: StillgateCookbook::Checks.seconds(0),
         desired_state: false,
         description: 'The command gets SIGTERM this many seconds before the deadline.'

property :on_failure, String,
         desired_state: false,
         description: 'Shell command that undoes what the command did, run inside the hold if the command fails.'

property :undo_time, [Integer, Float],
         callbacks: StillgateCookbook::Checks.seconds(0.1),
         desired_state: false,
         description: 'Seconds of the hold that are kept for on_failure; else a third of it.'

property :ready_first, [Integer, Float],
         callbacks: StillgateCookbook::Checks.seconds(0),
         desired_state: false,
         description: "Bring the cutover's servers to drain, and hold only if a check has shown each to be up within so many seconds."

property :cwd, String,
         desired_state: false,
         description: 'The folder in which the command runs.'

property :environment, Hash,
         default: {},
         sensitive: true,
         desired_state: false,
         description: "The command's environment, added to Chef's: put passwords here."

property :rehearse, [true, false],
         default: false,
         desired_state: false,
         description: 'Run the resources of the block in why-run mode first, and hold only if one would change.'

# The resources that converge inside the hold, as in a recipe.
def block(&resources)
  resources ? @block = resources : @block
end

default_action :run

action_class do
  include StillgateCookbook::Calls

  def hold_command
    folder = new_resource.cwd
    raise Chef::Exceptions::ValidationFailed, "cwd: no such folder: #{folder}" unless folder.nil? || ::File.directory?(folder)

    words = new_resource.command
    argv = words.is_a?(Array) ? words : ['/bin/sh', '-c', words]
    stillgate.hold(
      hold_options, new_resource.frontends, argv,
      timeout: new_resource.timeout || StillgateCookbook::Program.patience(new_resource, with_command: true),
      cwd: folder, environment: new_resource.environment, sensitive: new_resource.sensitive
    )
  end

  def hold_options
    arguments = StillgateCookbook::Arguments
    own = arguments.valued(
      'grace' => new_resource.grace, 'on-failure' => new_resource.on_failure, 'undo-time' => new_resource.undo_time,
      'ready-first' => new_resource.ready_first
    )
    %i(fleet hold release cutover).flat_map { |part| arguments.public_send(part, new_resource) } + own
  end

  def told_command
    return 'the command (sensitive)' if new_resource.sensitive

    Array(new_resource.command).join(' ')
  end

  # Compiled like a recipe, before anything is held: a block that cannot be compiled holds nothing.
  def compiled_block
    inside = run_context.create_child
    recipe = Chef::Recipe.new(new_resource.cookbook_name, new_resource.recipe_name, inside)
    recipe.instance_eval(&new_resource.block)
    inside
  end

  def converge_inside(inside)
    Chef::Runner.new(inside).converge
  ensure
    new_resource.updated_by_last_action(true) if inside.resource_collection.any?(&:updated?)
  end

  # Resumes after any exception, and after Ctrl-C. At SIGTERM Chef continues to the end of the run.
  def held_while
    failure = nil
    holder = Process.pid
    holding = suspending
    begin
      converge_by(hold_sentence) { holding.report }
      yield
    rescue Exception => failure # rubocop:disable Lint/RescueException
      raise
    ensure
      # A signal also ends a child that Chef forked and that has not become its command yet.
      let_through_for_sure(holding, failure) if Process.pid == holder
    end
  end

  # A signal that comes meanwhile has Chef end the process of the resume.
  def let_through_for_sure(holding, failure)
    let_through(holding, failure)
  rescue SystemExit, SignalException
    let_through(holding, failure)
    raise
  end

  def let_through(holding, failure)
    made = holding.made
    converge_by(resume_sentence) { end_hold(made, failure) } if made || whyrun_mode?
  end

  def end_hold(made, failure)
    over = let_go(made, late: true).opened_before.map { |one| one['endpoint'] }.uniq
    return if over.empty?

    words = 'hold_expired: the hold ended before the work inside it was done, at its deadline or by hand, ' \
            "and requests passed meanwhile: #{over.join(', ')}"
    raise StillgateCookbook::Failed, words if failure.nil?

    Chef::Log.warn("#{new_resource}: #{words}")
  rescue StillgateCookbook::Failed => error
    # A failure inside the hold must not be hidden by this one.
    raise if failure.nil?

    raise StillgateCookbook::Failed, "#{error.message}\nand inside the hold: #{failure.message}"
  end
end

action :run, description: 'Suspend, run, and resume however the command or the block ends.' do
  if new_resource.command.nil? == new_resource.block.nil?
    raise Chef::Exceptions::ValidationFailed, 'command: give a command or a block of resources, not both'
  end
  if new_resource.block && new_resource.on_failure
    raise Chef::Exceptions::ValidationFailed, 'on_failure: goes with a command; a block of resources undoes itself'
  end
  if new_resource.cutover && new_resource.block
    raise Chef::Exceptions::ValidationFailed, 'cutover: needs a command, whose success it waits for'
  end

  if new_resource.ready_first && new_resource.cutover.nil?
    raise Chef::Exceptions::ValidationFailed, 'ready_first: goes with a cutover'
  end

  if new_resource.command
    converge_by("#{hold_sentence} while it runs: #{told_command}") { hold_command }
    next
  end
  next if new_resource.rehearse && !StillgateCookbook::Rehearsal.changes?(compiled_block)

  inside = compiled_block
  # In a why-run nothing is held, and the resources show what they would do.
  held_while { converge_inside(inside) }
end
