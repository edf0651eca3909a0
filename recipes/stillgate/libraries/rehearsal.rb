# Asks resources, in a silent why-run, whether they would change anything.

module StillgateCookbook
  module Rehearsal
    module_function

    # `inside` is a compiled context that is good for nothing else afterwards. What fails in a why-run,
    # for want of what would be there by then, counts as a change.
    def changes?(inside)
      unheard = Chef::EventDispatch::Dispatcher.new
      inside.define_singleton_method(:events) { unheard }
      in_why_run { inside.resource_collection.any? { |resource| changed?(resource) } }
    rescue StandardError
      true
    end

    # Without a runner, so that nothing is notified.
    def changed?(resource)
      Array(resource.action).any? do |action|
        resource.run_action(action)
        resource.updated_by_last_action?
      end
    end

    def in_why_run
      before = Chef::Config[:why_run]
      Chef::Config[:why_run] = true
      yield
    ensure
      Chef::Config[:why_run] = before
    end
  end
end
