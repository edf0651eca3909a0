// The limits of each option.
#include "check_options.hpp"

#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime_api/command.hpp"

namespace stillgate::fleet {
namespace {

using runtime_api::Command;
using std::chrono::milliseconds;

constexpr milliseconds longest{3'600'000};
constexpr milliseconds shortest_hold{100};
constexpr std::size_t longest_owner = 200;
constexpr std::size_t longest_reason = 1000;
constexpr std::size_t longest_on_event = 4096;
constexpr std::int64_t most_waiting = 1'000'000'000;
constexpr std::size_t smallest_cap = 1000;
constexpr std::size_t largest_cap = std::size_t{1} << 30U;

std::optional<Error> check_seconds(std::string_view field, milliseconds value, milliseconds least) {
  if (value >= least && value <= longest) return std::nullopt;
  return input(Errc::bad_option, field,
               fmt::format("must be from {:.3g} to 3600 seconds",
                           std::chrono::duration<double>(least).count()));
}

std::optional<Error> check_person(const std::string& owner, const std::string& reason) {
  if (owner.size() > longest_owner) {
    return input(Errc::bad_option, "owner", fmt::format("has more than {} bytes", longest_owner));
  }
  if (reason.size() > longest_reason) {
    return input(Errc::bad_option, "reason", fmt::format("has more than {} bytes", longest_reason));
  }
  return std::nullopt;
}

}  // namespace

Error input(Errc code, std::string_view field, std::string message) {
  return {code, fmt::format("{}: {}", field, message), {}, {}, std::string(field)};
}

std::optional<Error> check_options(const FleetOptions& options) {
  const std::pair<std::string_view, milliseconds> timeouts[] = {
      {"connect_timeout", options.connect_timeout},
      {"greeting_timeout", options.greeting_timeout},
      {"reply_timeout", options.reply_timeout},
  };
  for (const auto& [field, value] : timeouts) {
    if (auto error = check_seconds(field, value, milliseconds(1))) return error;
  }
  if (options.max_reply_bytes < smallest_cap || options.max_reply_bytes > largest_cap) {
    return input(Errc::bad_option, "max_reply_bytes",
                 fmt::format("must be from {} to {}", smallest_cap, largest_cap));
  }
  if (options.events.on_event.size() > longest_on_event) {
    return input(Errc::bad_option, "on_event",
                 fmt::format("has more than {} bytes", longest_on_event));
  }
  if (options.events.on_event.find('\0') != std::string::npos) {
    return input(Errc::bad_option, "on_event", "holds a zero byte");
  }
  return std::nullopt;
}

std::optional<Error> check_frontends(const std::vector<std::string>& frontends) {
  if (frontends.empty()) return input(Errc::bad_name, "frontend", "none is named");
  std::set<std::string_view> seen;
  for (const std::string& name : frontends) {
    if (auto error = runtime_api::check_frontend_name(name)) return error;
    if (!seen.insert(name).second) {
      return input(Errc::bad_name, "frontend", fmt::format("'{}' is named twice", name));
    }
  }
  return std::nullopt;
}

std::optional<Error> check_suspend(const SuspendOptions& options) {
  if (auto error = check_seconds("max_hold", options.max_hold, shortest_hold)) return error;
  if (auto error = check_seconds("drain_timeout", options.drain_timeout, milliseconds(0))) {
    return error;
  }
  if (options.max_waiting < 0 || options.max_waiting > most_waiting) {
    return input(Errc::bad_number, "max_waiting",
                 fmt::format("{} is outside 0 to {}", options.max_waiting, most_waiting));
  }
  if (options.method == Method::maxconn && options.on_expiry != Expiry::release) {
    return input(Errc::bad_option, "on_expiry", "only the gate can reject, and not maxconn");
  }
  if (options.method == Method::maxconn && options.max_waiting > 0) {
    return input(Errc::bad_option, "max_waiting", "only the gate knows who waits, and not maxconn");
  }
  return check_person(options.owner, options.reason);
}

std::optional<Error> check_resume(const ResumeOptions& options) {
  if (options.limit && (*options.limit < 1 || *options.limit > Command::max_limit)) {
    return input(Errc::bad_number, "limit",
                 fmt::format("{} is outside 1 to {}", *options.limit, Command::max_limit));
  }
  if (auto error = check_seconds("retry_for", options.retry_for, milliseconds(0))) return error;
  if (options.force && options.reason.empty()) {
    return input(Errc::bad_option, "reason", "is required to overrule the holder (force)");
  }
  if (auto error = check_person(options.owner, options.reason)) return error;
  return check_seconds("ramp", options.ramp, milliseconds(0));
}

std::optional<Error> check_extend(const ExtendOptions& options) {
  if (auto error = check_seconds("seconds", options.by, shortest_hold)) return error;
  if (options.force && options.reason.empty()) {
    return input(Errc::bad_option, "reason", "is required to overrule the holder (force)");
  }
  return check_person(options.owner, options.reason);
}

}  // namespace stillgate::fleet
