// The order that a guard gets: which hold, until when, and how far the suspend has come.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

#include "hold/guard/mode.hpp"
#include "hold/record/record.hpp"

namespace stillgate::fleet {

struct GuardOrder {
  hold::GuardMode mode{hold::GuardMode::arming};
  hold::Record record;                    ///< with only its switches by maxconn
  std::chrono::milliseconds deadline{0};  ///< on boot_time()
  std::string state_folder;               ///< an absolute path
  std::string on_event;                   ///< a command; empty: none
  std::string event_format;
  std::map<std::string, std::string, std::less<>> names{};  ///< short ones, by URL
  /// As engine::export_secrets() gives it: a guard has no terminal. Set only while the order is
  /// sent; see wipe().
  std::string secrets;
};

void wipe(std::string& text);

/// Text of lines `key value`, closed by a line `go`.
[[nodiscard]] std::string encode(const GuardOrder& order);

/// Error: guard_failed, with the line.
[[nodiscard]] Result<GuardOrder> decode_order(std::string_view text);

/// What a guard answers: `ready` with the endpoints that HAProxy's own `wait` backs, `holding`, or
/// `refused` with the error of an endpoint. One line each.
[[nodiscard]] std::string encode_refusal(const std::string& endpoint, const Error& error);
/// Error::field is the endpoint.
[[nodiscard]] Error decode_refusal(std::string_view line);

}  // namespace stillgate::fleet
