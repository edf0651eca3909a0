// The outcome of one command at one endpoint: a reply or an error, with its timings.
#pragma once

#include <optional>
#include <string>

#include <stillgate/error.hpp>

namespace [[gnu::visibility("default")]] stillgate {

/// Milliseconds since the call began, on the steady clock; empty if that point was not reached.
struct Timings {
  std::optional<double> connected_ms;  ///< the connection was open
  std::optional<double> sent_ms;       ///< the first byte of the command was handed to the kernel
  std::optional<double> answered_ms;   ///< the reply was complete
};

/// Exactly one of `reply` and `error` is set.
struct Outcome {
  std::string endpoint;              ///< canonical URL
  std::optional<std::string> reply;  ///< without the framing and the closing line feeds
  std::optional<Error> error;
  Timings timings;
  std::string endpoint_name{};  ///< the short one

  [[nodiscard]] bool ok() const noexcept { return reply.has_value(); }
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
