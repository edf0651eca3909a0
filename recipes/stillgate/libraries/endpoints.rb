# Builds endpoints from nodes: the node itself, or what a search found.

module StillgateCookbook
  module Endpoints
    SOCKET = '/run/haproxy/admin.sock'.freeze

    module_function

    # One endpoint per node, sorted, whatever the order in which a search found them. Errors:
    # ValidationFailed, because a fleet that is smaller than it was meant to be holds too little.
    def of(nodes, tcp: nil, socket: SOCKET, user: nil, address: 'ipaddress')
      found = nodes.flat_map { |node| own(node) || [built(node, tcp, socket, user, address)] }.sort
      raise Chef::Exceptions::ValidationFailed, 'fleet: no node found to make endpoints from' if found.empty?

      twice = found.find { |one| found.count(one) > 1 }
      raise Chef::Exceptions::ValidationFailed, "fleet: two nodes have the endpoint #{twice}" if twice

      found
    end

    # The endpoints that the node itself names, in its attributes.
    def own(node)
      named = value(node, 'stillgate', 'endpoints') || value(node, 'stillgate', 'endpoint')
      named && Array(named).map(&:to_s)
    end

    def built(node, tcp, socket, user, address)
      at = value(node, address).to_s
      name = node.respond_to?(:name) ? node.name : value(node, 'name')
      raise Chef::Exceptions::ValidationFailed, "fleet: the node #{name} has no attribute #{address}" if at.empty?

      host = at.include?(':') ? "[#{at}]" : at
      tcp ? "tcp://#{host}:#{tcp}" : "ssh://#{"#{user}@" if user}#{host}#{socket}"
    end

    # Of a node, or of the hash that a search with filter_result gives.
    def value(node, *path)
      at = node
      path.each { |key| at = at.respond_to?(:[]) ? at[key] : nil }
      at
    end
  end
end
