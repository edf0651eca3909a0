// Commands for a fleet and their answers: the data between plan and engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/outcome.hpp>

#include "command.hpp"
#include "reply.hpp"
#include "reply_reader.hpp"

namespace stillgate::runtime_api {

/// When to give up on the last endpoints while others are held. They have the connect or greeting
/// timeout, whichever is longer.
enum class Haste {
  none,                ///< only each step's own timeout counts
  once_half_answered,  ///< from then, or as long again as half of them took: they may have to log
                       ///< in
  from_the_beginning,  ///< all of them have just answered
};

/// What must be true at an endpoint at the moment when its commands are sent. Whoever decided on
/// them may have been frozen since, or have waited for others.
struct Condition {
  std::vector<Command> question;  ///< none: there is no condition
  std::function<bool(const std::vector<Reply>&)> holds;
};

struct Batch {
  const char* phase{"asking"};  ///< for the progress line; a string literal
  /// Per endpoint, in the fleet's order. None: that endpoint is skipped.
  std::vector<std::vector<Command>> work;
  /// Per endpoint, or none at all. Asked right before its commands, on the same connection, and
  /// asked again if the answer is old when it is read. If it does not hold, nothing is sent there,
  /// and the error is `hold_changed`.
  std::vector<Condition> conditions{};
  Closing closing{Closing::keep};
  /// All connections are open and greeted before the first byte of any command is written. If
  /// one cannot get there, or the caller stops, nothing is written anywhere. The writes are so
  /// timed that they arrive at the same instant: far endpoints first.
  bool barrier{false};
  /// Runs to its end even when the caller stops: a rollback must.
  bool uninterruptible{false};
  /// On new connections: a kept one may lead to the old worker of a reload.
  bool fresh{false};
  Haste haste{Haste::none};
  /// Whoever has not answered by then has failed, whatever its own timeouts: something else has to
  /// be done in time.
  std::optional<std::chrono::milliseconds> within{};
  std::optional<std::int64_t> in_flight;  ///< for the progress line: requests still being served

  /// nullptr: there is none.
  [[nodiscard]] const Condition* condition_of(std::size_t endpoint) const {
    const bool any = endpoint < conditions.size() && !conditions[endpoint].question.empty();
    return any ? &conditions[endpoint] : nullptr;
  }
};

struct Answer {
  std::vector<Reply> replies;  ///< one per command, unless `error` is set
  std::optional<Error> error;  ///< of the connection or the framing
  /// The first byte of the commands may have left: whether they ran is then not known from an
  /// error. False means that they surely did not.
  bool sent{false};
  Timings timings;
};

}  // namespace stillgate::runtime_api
