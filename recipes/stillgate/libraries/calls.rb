# What the actions of traffic and hold share: suspend, resume, and the sentences that describe them.

module StillgateCookbook
  module Calls
    private

    # Whatever comes before its end takes the hold back.
    def suspend
      holding = suspending
      begin
        holding.report
      rescue Exception # rubocop:disable Lint/RescueException
        made = holding.made
        let_go(made) if made
        raise
      end
    end

    # Has the hold until somebody has its id.
    def suspending
      StillgateCookbook::Suspending.new { call('suspend', StillgateCookbook::Arguments.suspend(new_resource)) }
    end

    # With `late`, one whose hold had ended before is no failure: the caller tells it.
    def resume(hold_id = nil, late: false)
      call('resume', StillgateCookbook::Arguments.resume(new_resource, hold_id), late: late)
    end

    # Ends the hold of this report. Errors: Failed, with how long it is held and what ends it.
    def let_go(made, late: false)
      resume(made.hold_id, late: late)
    rescue StillgateCookbook::Failed => error
      words = [new_resource.program, 'resume', *StillgateCookbook::Arguments.fleet(new_resource),
               "--hold=#{made.hold_id}", *new_resource.frontends]
      raise StillgateCookbook::Failed, "still_held: #{held_where} is held, or may be, #{made.until_words}; " \
                                       "to end it: #{words.join(' ')}\n#{error.message}"
    end

    def call(verb, options, late: false)
      stillgate.do(
        verb,
        StillgateCookbook::Arguments.fleet(new_resource) + options,
        new_resource.frontends,
        timeout: new_resource.timeout || StillgateCookbook::Program.patience(new_resource),
        late: late
      )
    end

    def stillgate
      StillgateCookbook::Program.new(new_resource.program, self)
    end

    # As in: hold all requests of balanced at lb1, lb2 for at most 15 s (migration 42)
    def hold_sentence
      long = new_resource.max_hold ? "#{new_resource.max_hold} s" : "the fleet's max_hold, or 15 s"
      why = " (#{new_resource.reason})" if new_resource.reason
      "hold all requests of #{held_where} for at most #{long}#{why}"
    end

    def resume_sentence
      over = " over #{new_resource.ramp} s" if new_resource.ramp
      "release the requests of #{held_where}#{over}"
    end

    def held_where
      fleet = new_resource.fleet
      "#{new_resource.frontends.join(', ')} at #{fleet.is_a?(String) ? "the fleet #{fleet}" : Array(fleet).join(', ')}"
    end
  end
end
