# Checks properties: wrong input is refused with the property's name, and nothing is sent.

module StillgateCookbook
  module Checks
    NAME = /\A[A-Za-z0-9_.:][A-Za-z0-9_.:-]*\z/.freeze

    module_function

    def seconds(least)
      { "must be from #{least} to 3600 seconds" => ->(value) { value.nil? || (least..3600).cover?(value) } }
    end

    def frontends
      {
        'must name a frontend' => ->(names) { !names.empty? },
        "may have letters, digits and - _ . : only, and must not begin with '-'" => ->(names) { names.all?(NAME) },
      }
    end

    # A list that is empty, or has an empty word, would hold less than was meant.
    def fleet
      {
        'must name an endpoint' => ->(fleet) { fleet.nil? || !fleet.empty? },
        'must not have an empty endpoint' => ->(fleet) { fleet.nil? || fleet.is_a?(String) || fleet.none?(&:empty?) },
      }
    end

    # A value with a slash is an endpoint, not the name of a fleet.
    def to_fleet(value)
      return if value.nil?
      return value.include?('/') ? [value] : value if value.is_a?(String)

      value.map(&:to_s)
    end
  end
end
