# Reads the document of `stillgate --json`: what is held, by whom, and what failed, in HAProxy's words.
require 'json'

module StillgateCookbook
  # What a converge fails with; the message has the code, our words and HAProxy's.
  class Failed < RuntimeError
    # Whether something is held that should have been let through.
    def still_held?
      message.include?('still_held: ')
    end
  end

  class Report
    # A hold with these findings is past its deadline: not a state that was asked for.
    PAST = %w(overdue rejecting).freeze

    # Open, but whoever resumes has yet to be told something.
    UNTOLD = %w(already_open too_late).freeze

    attr_reader :document

    # `text` is the standard output; the rest of the output is shown if that is not a document.
    def self.read(verb, text, status, said)
      document = JSON.parse(text)
      raise JSON::ParserError, 'no document' unless document.is_a?(Hash)

      new(document)
    rescue JSON::ParserError
      words = said.to_s.strip.lines.last(5).join.strip
      raise Failed, "stillgate #{verb} ended with status #{status} and no result: #{words.empty? ? 'it said nothing' : words}"
    end

    def initialize(document)
      @document = document
    end

    def ok?
      document['ok']
    end

    def switches
      document['switches'] || []
    end

    def hold_id
      document.fetch('holds', []).map { |hold| hold['id'] }.first
    end

    # Of a suspend, as in: until 2026-11-28T16:34:50.000Z
    def until_words
      deadline = document.fetch('holds', []).map { |hold| hold['deadline'] }.first
      "until #{deadline || 'somebody resumes'}"
    end

    # Of a status: :held where `owner` holds all of it, :open where nothing is held or on record, else
    # :other. What could not be asked is :other too.
    def traffic(owner)
      return :other if switches.empty? || switches.any? { |one| one['error'] }
      return :held if switches.all? { |one| held_by?(one, owner) }
      return :open if switches.all? { |one| one['verdict'] == 'open' && !finding?(one, UNTOLD) }

      :other
    end

    # Of a resume: the hold had ended before, and nothing else is wrong.
    def too_late?
      errors = switches.map { |one| one['error'] }.compact
      document['error'].nil? && errors.any? && errors.all? { |error| error['code'] == 'hold_ended' }
    end

    # Of a resume: the switches that were already open.
    def opened_before
      switches.select { |one| one['verdict'] == 'open' || ended?(one) || finding?(one, ['already_open']) }
    end

    # One line per failure, the same text once.
    def failures
      parts = [document, document['suspend'], document['resume']].compact
      lines = parts.flat_map { |part| [words(part['error'])] + (part['switches'] || []).map { |one| switch_words(one) } }
      lines.compact.uniq
    end

    # Of a hold: how its command failed, if it did.
    def command_failure
      command = document['command']
      return if command.nil? || command['status'] == 0

      how = command['ended_by_deadline'] ? 'was ended, because the hold ended or was about to end' : "ended with status #{command['status']}"
      what = %w(migration undo cutover traffic).map { |name| "#{name} #{document[name]}" if document[name] }.compact
      ["the command #{how}", *what].join(', ')
    end

    private

    def ended?(switch)
      !switch['error'].nil? && switch['error']['code'] == 'hold_ended'
    end

    def held_by?(switch, owner)
      hold = document['holds'].find { |one| one['id'] == switch['hold_id'] }
      switch['verdict'] == 'held' && !hold.nil? && hold['owner'] == owner && !finding?(switch, PAST)
    end

    def finding?(switch, codes)
      switch['findings'].any? { |finding| codes.include?(finding['code']) }
    end

    # A switch that was rolled back because of another one is not the failure.
    def switch_words(switch)
      return if switch['error'].nil? || switch['error']['code'] == 'rolled_back'

      "#{switch['endpoint']}, #{switch['frontend']} (#{switch['verdict']}): #{words(switch['error'])}"
    end

    def words(error)
      return if error.nil?

      said = error['haproxy'].to_s.strip
      "#{error['code']}: #{error['message']}#{" (HAProxy said: #{said})" unless said.empty?}"
    end
  end
end
