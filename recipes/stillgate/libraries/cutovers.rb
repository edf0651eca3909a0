# The property `cutover`: a name of the inventory, or a Hash of what is to serve.

module StillgateCookbook
  module Cutovers
    STATES = %w(ready drain maint).freeze
    KINDS = %w(servers weights maps).freeze
    # As the command line writes it: a place ends at its first `=`, and one with a `:` is in a map.
    SERVER = %r{\A[^\s:=/]+/[^\s:=/]+\z}.freeze
    FILE = /\A[^\s:=]+\z/.freeze
    KEY = /\A[^\s=]+\z/.freeze
    VALUE = /\A[^[:cntrl:]]+\z/.freeze

    module_function

    # A name, or a Hash of plain ones. Errors: ValidationFailed, with each entry that is wrong.
    def of(value)
      return value if value.nil? || value.is_a?(String)

      refuse(['must be the name of a cutover, or a Hash of servers, weights and maps']) unless value.is_a?(Hash)
      given = value.map { |kind, entries| [kind.to_s, entries.is_a?(Hash) ? named(entries) : entries] }.to_h
      wrong = wrongs(given)
      wrong << 'names no server, weight or entry of a map' if wrong.empty? && changes(given).empty?
      refuse(wrong) unless wrong.empty?

      given
    end

    # The words of `--serve`.
    def changes(given)
      places = [*given['servers'], *given['weights']]
      places += (given['maps'] || {}).flat_map do |file, entries|
        entries.map { |key, value| ["#{file}:#{key}", value] }
      end
      places.map { |place, value| "#{place}=#{value}" }
    end

    def named(entries)
      entries.map { |name, value| [name.to_s, value.is_a?(Symbol) ? value.to_s : value] }.to_h
    end

    def wrongs(given)
      unknown = (given.keys - KINDS).map { |kind| "#{kind}: is none of #{KINDS.join(', ')}" }
      unknown + KINDS.flat_map do |kind|
        entries = given.fetch(kind, {})
        entries.is_a?(Hash) ? send(:"wrong_#{kind}", entries) : ["#{kind}: must be a Hash, not #{entries.inspect}"]
      end
    end

    def wrong_servers(entries)
      wrong_places('servers', entries) { |value| "must be #{STATES.join(', ')}" unless STATES.include?(value) }
    end

    def wrong_weights(entries)
      wrong_places('weights', entries) do |value|
        'must be a whole number from 0 to 256' unless value.is_a?(Integer) && value.between?(0, 256)
      end
    end

    # What the block says of a value, or of the name.
    def wrong_places(kind, entries)
      entries.filter_map do |place, value|
        why = SERVER.match?(place) ? yield(value) : 'must be named BACKEND/SERVER, without = and :'
        "#{kind}: #{place} => #{value.inspect}: #{why}" if why
      end
    end

    def wrong_maps(maps)
      maps.flat_map do |file, entries|
        next ["maps: #{file}: must be the path of a map, without = and :"] unless FILE.match?(file)
        next ["maps: #{file}: must be a Hash of keys and values, not #{entries.inspect}"] unless entries.is_a?(Hash)

        entries.reject { |key, value| KEY.match?(key.to_s) && value.is_a?(String) && VALUE.match?(value) }.map do |key, value|
          "maps: #{file}: #{key} => #{value.inspect}: must be a key without = and a text"
        end
      end
    end

    def refuse(wrong)
      raise Chef::Exceptions::ValidationFailed, wrong.map { |words| "cutover: #{words}" }.join("\n")
    end
  end
end
