# A suspend on a thread of its own. What a signal raises comes in the main thread, between any two
# steps, and would lose the hold that was just made: here its id stays to be had.

module StillgateCookbook
  class Suspending
    # `call` makes the suspend, and returns its Report.
    def initialize(&call)
      @start = Queue.new
      @thread = Thread.new { call.call if @start.pop }
      @thread.report_on_exception = false
    end

    # Errors: Failed, and then nothing is held.
    def report
      @start << true
      @thread.value
    end

    # The Report of the hold that it has made, when it has come to its end; nil where there is none.
    # Errors: Failed, where it was stopped and could not be ended again.
    def made
      @start.close
      @thread.value
    rescue Failed => error
      raise if error.still_held?

      nil
    end
  end
end
