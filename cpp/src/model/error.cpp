// The names of the error codes.
#include <stillgate/error.hpp>

#include <array>

namespace stillgate {
namespace {

struct Named {
  Errc code;
  std::string_view name;
};

// In the order of the enumeration; a unit test holds both together.
constexpr std::array codes{
    Named{Errc::bad_endpoint, "bad_endpoint"},
    Named{Errc::duplicate_endpoint, "duplicate_endpoint"},
    Named{Errc::empty_fleet, "empty_fleet"},
    Named{Errc::bad_command, "bad_command"},
    Named{Errc::bad_name, "bad_name"},
    Named{Errc::bad_number, "bad_number"},
    Named{Errc::bad_option, "bad_option"},
    Named{Errc::no_such_socket, "no_such_socket"},
    Named{Errc::not_a_socket, "not_a_socket"},
    Named{Errc::socket_denied, "socket_denied"},
    Named{Errc::connection_refused, "connection_refused"},
    Named{Errc::backlog_full, "backlog_full"},
    Named{Errc::unreachable, "unreachable"},
    Named{Errc::name_not_found, "name_not_found"},
    Named{Errc::connect_timeout, "connect_timeout"},
    Named{Errc::file_limit, "file_limit"},
    Named{Errc::system_error, "system_error"},
    Named{Errc::no_greeting, "no_greeting"},
    Named{Errc::stats_maxconn, "stats_maxconn"},
    Named{Errc::write_timeout, "write_timeout"},
    Named{Errc::reply_timeout, "reply_timeout"},
    Named{Errc::connection_reset, "connection_reset"},
    Named{Errc::early_eof, "early_eof"},
    Named{Errc::reply_too_large, "reply_too_large"},
    Named{Errc::not_haproxy, "not_haproxy"},
    Named{Errc::master_socket, "master_socket"},
    Named{Errc::malformed_reply, "malformed_reply"},
    Named{Errc::cancelled, "cancelled"},
    Named{Errc::ssh_config, "ssh_config"},
    Named{Errc::ssh_proxy, "ssh_proxy"},
    Named{Errc::ssh_banner, "ssh_banner"},
    Named{Errc::ssh_key_exchange, "ssh_key_exchange"},
    Named{Errc::ssh_host_key_unknown, "ssh_host_key_unknown"},
    Named{Errc::ssh_host_key_changed, "ssh_host_key_changed"},
    Named{Errc::ssh_host_key_revoked, "ssh_host_key_revoked"},
    Named{Errc::ssh_key_unusable, "ssh_key_unusable"},
    Named{Errc::ssh_auth_failed, "ssh_auth_failed"},
    Named{Errc::ssh_auth_timeout, "ssh_auth_timeout"},
    Named{Errc::ssh_forwarding_denied, "ssh_forwarding_denied"},
    Named{Errc::ssh_channel_failed, "ssh_channel_failed"},
    Named{Errc::ssh_channel_timeout, "ssh_channel_timeout"},
    Named{Errc::permission_denied, "permission_denied"},
    Named{Errc::no_such_frontend, "no_such_frontend"},
    Named{Errc::unknown_command, "unknown_command"},
    Named{Errc::command_failed, "command_failed"},
    Named{Errc::gate_missing, "gate_missing"},
    Named{Errc::gate_unproven, "gate_unproven"},
    Named{Errc::gate_failed, "gate_failed"},
    Named{Errc::crash_hazard, "crash_hazard"},
    Named{Errc::same_haproxy, "same_haproxy"},
    Named{Errc::already_held, "already_held"},
    Named{Errc::not_the_holder, "not_the_holder"},
    Named{Errc::frontend_stopped, "frontend_stopped"},
    Named{Errc::not_held, "not_held"},
    Named{Errc::limit_is_zero, "limit_is_zero"},
    Named{Errc::guard_failed, "guard_failed"},
    Named{Errc::deadline_passed, "deadline_passed"},
    Named{Errc::fleet_too_large, "fleet_too_large"},
    Named{Errc::limit_mismatch, "limit_mismatch"},
    Named{Errc::haproxy_restarted, "haproxy_restarted"},
    Named{Errc::haproxy_stopping, "haproxy_stopping"},
    Named{Errc::journal_failed, "journal_failed"},
    Named{Errc::drain_timeout, "drain_timeout"},
    Named{Errc::application_down, "application_down"},
    Named{Errc::rolled_back, "rolled_back"},
};

}  // namespace

std::string_view name(Errc code) noexcept {
  for (const Named& entry : codes) {
    if (entry.code == code) return entry.name;
  }
  return "unnamed";
}

const std::vector<Errc>& all_errors() {
  static const std::vector<Errc> all = [] {
    std::vector<Errc> list;
    list.reserve(codes.size());
    for (const Named& entry : codes) list.push_back(entry.code);
    return list;
  }();
  return all;
}

}  // namespace stillgate
