# What recipes, templates' variables and resources may call.

module StillgateCookbook
  module Helpers
    # Endpoints for the property `fleet`, from nodes or a search's result.
    #
    #   fleet stillgate_endpoints(search(:node, 'role:loadbalancer'), tcp: 9999)
    #
    # A node that has node['stillgate']['endpoint'] (or 'endpoints') is reached by that. Any other one
    # by TCP at its address where `tcp` is a port, else by SSH at its `socket`, as `user`.
    def stillgate_endpoints(nodes, **options)
      StillgateCookbook::Endpoints.of(nodes.is_a?(Array) ? nodes : [nodes], **options)
    end

    # The gate's lines for haproxy.cfg, by section: {'global' => [...], 'defaults' => [...],
    # 'frontend' => [...], 'backend' => [...]}; options as of `stillgate gate --config`, for example
    # haproxy: '3.0', state: '/var/lib/haproxy/stillgate', exempt: '/health'.
    def stillgate_gate_lines(frontend, program: nil, **options)
      named = options.transform_keys { |name| name.to_s.tr('_', '-') }
      words = StillgateCookbook::Arguments.valued('config' => frontend, **named)
      text = StillgateCookbook::Program.new(program || StillgateCookbook::Program.of(node), self).text('gate', words)
      StillgateCookbook::GateLines.by_section(text)
    end
  end

  module GateLines
    module_function

    # All there are, each with its lines or none: a template goes over them, and what Chef makes of a
    # Hash's default there is nil.
    SECTIONS = %w(global defaults frontend backend).freeze

    # Sections begin at the margin, and are named by their first word.
    def by_section(text)
      found = SECTIONS.to_h { |name| [name, []] }
      section = nil
      text.each_line(chomp: true) do |line|
        next if line.empty? || line.start_with?('#')

        line.start_with?(' ') ? found[section] << line.strip : section = line.split.first
      end
      found
    end
  end
end

[Chef::Recipe, Chef::Resource, Chef::Provider].each { |place| place.include(StillgateCookbook::Helpers) }
