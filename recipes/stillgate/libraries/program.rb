# Calls the installed `stillgate`, and turns its output into a Report.

module StillgateCookbook
  class Program
    # Seconds that a call may take in addition to the time that it waits for.
    MARGIN = 60
    LONGEST_HOLD = 3600
    LINES_TOLD = 20

    # The one that the node names; else that of the virtual environment; else that of the .deb.
    def self.of(node)
      own = ::File.join(node['stillgate']['path'], 'bin', 'stillgate')
      node['stillgate']['program'] || [own, '/usr/bin/stillgate'].find { |path| ::File.exist?(path) } || own
    end

    # `shell` is a resource or a provider: what has shell_out, and Chef's environment with it.
    def initialize(path, shell)
      @path = path
      @shell = shell
    end

    # A Report, also of a failure.
    def ask(verb, options, frontends, timeout: nil)
      done = run(verb, ['--json', *options], frontends, timeout: timeout)
      Report.read(verb, done.stdout, done.exitstatus, done.stderr)
    end

    # A Report of a success; with `late`, of a resume whose hold had ended before, too. Errors: Failed.
    def do(verb, options, frontends, timeout: nil, late: false)
      report = ask(verb, options, frontends, timeout: timeout)
      raise Failed, "#{verb}: #{report.failures.join("\n")}" unless report.ok? || (late && report.too_late?)

      report
    end

    # Runs a command inside a hold; `given` are options of run. Errors: Failed, with what the command
    # said last, unless it is sensitive.
    def hold(options, frontends, command, **given)
      done = run('hold', ['--json', *options], [*frontends, '--', *command], **given)
      said = given[:sensitive] ? '' : told(done.stderr, given[:environment])
      report = Report.read('hold', done.stdout, done.exitstatus, said)
      return report if report.ok?

      raise Failed, ['hold:', *report.failures, *report.command_failure, said].join("\n").strip
    end

    # Without what the environment keeps from the logs.
    def told(said, environment)
      secrets = environment.values.map(&:to_s).reject(&:empty?)
      said.lines.last(LINES_TOLD).join.gsub(Regexp.union(secrets), '*****')
    end

    # What it prints. Errors: Failed.
    def text(verb, options)
      done = run(verb, options, [])
      raise Failed, "stillgate #{verb}: #{done.stderr.strip}" unless done.exitstatus == 0

      done.stdout
    end

    def run(verb, options, behind, timeout: nil, cwd: nil, environment: {}, sensitive: false)
      @shell.shell_out(
        @path, verb, *options, *behind,
        timeout: timeout || MARGIN, environment: environment, sensitive: sensitive, **{ cwd: cwd }.compact
      )
    rescue Errno::ENOENT, Errno::EACCES => error
      raise Failed, "program: #{error.message}; stillgate_package installs it"
    rescue Mixlib::ShellOut::CommandTimeout
      raise Failed, "timeout: stillgate #{verb} was ended after #{timeout || MARGIN} s; 'stillgate status' shows what is held"
    end

    # How long a call with such a resource may take by default.
    def self.patience(resource, with_command: false)
      waits = [resource.drain_timeout, resource.retry_for, resource.ramp]
      waits << (resource.max_hold || LONGEST_HOLD) if with_command
      waits << resource.ready_first if with_command && resource.ready_first
      MARGIN + waits.compact.sum
    end
  end
end
