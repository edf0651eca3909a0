# Turns properties into arguments of the command line. Each is one element of an array that no shell
# reads, with its value after a `=`, so that no value is taken for an option.

module StillgateCookbook
  module Arguments
    module_function

    def fleet(resource)
      where = resource.fleet
      raise Chef::Exceptions::ValidationFailed, 'fleet: name a fleet of the inventory, or endpoints' if where.nil?

      named = where.is_a?(String) ? ["--fleet=#{where}"] : where.map { |url| "--endpoint=#{url}" }
      named + valued('inventory' => resource.inventory)
    end

    def hold(resource)
      words = valued(
        'method' => resource.hold_method,
        'max-hold' => resource.max_hold,
        'drain-timeout' => resource.wait_for_drain ? resource.drain_timeout : 0,
        'drain-except' => listed(resource.drain_except),
        'on-expiry' => resource.on_expiry,
        'on-reload' => resource.on_reload,
        'max-waiting' => resource.max_waiting,
        'reason' => resource.reason,
        'owner' => resource.owner
      )
      words + flags('accept-hazard' => resource.accept_hazard, 'accept-unproven' => resource.accept_unproven)
    end

    # Of a hold that outlives the call. `hold` stays with its command, and does not know the flag.
    def suspend(resource)
      hold(resource) + flags('accept-shared-fate' => resource.accept_shared_fate)
    end

    # How a hold ends.
    def release(resource)
      words = valued(
        'ramp' => resource.ramp,
        'retry-for' => resource.retry_for,
        'wait-up-for' => listed(resource.wait_up_for)
      )
      words + flags('wait-up' => resource.wait_up)
    end

    # By its name, or as it is.
    def cutover(resource)
      given = resource.cutover
      return StillgateCookbook::Cutovers.changes(given).map { |change| "--serve=#{change}" } if given.is_a?(Hash)

      valued('cutover' => given)
    end

    # `hold_id`: end this hold and no other, and change nothing else on the way.
    def resume(resource, hold_id = nil)
      forced = resource.force && hold_id.nil?
      words = valued(
        'limit' => resource.limit,
        'owner' => resource.owner,
        'hold' => hold_id,
        'reason' => forced ? resource.reason : nil
      )
      words += cutover(resource) if hold_id.nil?
      words + release(resource) + flags('accept-hazard' => resource.accept_hazard, 'force' => forced)
    end

    # Several names in one word.
    def listed(names)
      names && Array(names).join(',')
    end

    def valued(options)
      options.compact.map { |name, value| "--#{name}=#{value}" }
    end

    def flags(options)
      options.select { |_, wanted| wanted }.keys.map { |name| "--#{name}" }
    end
  end
end
