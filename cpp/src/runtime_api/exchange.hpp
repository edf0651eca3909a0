// One endpoint's part of a batch as a state machine: events in, actions out, no I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <stillgate/error.hpp>

#include "batch.hpp"

namespace stillgate::runtime_api {

namespace event {
struct Connected {};  ///< fresh, or kept from an earlier batch
struct Bytes {
  std::string_view bytes;
};
struct EndOfStream {};
struct Released {};  ///< the barrier opened
struct Failed {      ///< by the transport, a deadline or the caller
  Error error;
};
}  // namespace event
using Event = std::variant<event::Connected, event::Bytes, event::EndOfStream, event::Released,
                           event::Failed>;

namespace action {
struct Write {  ///< then read
  std::string bytes;
};
struct Read {};
struct Barrier {};   ///< wait for Released
struct Finished {};  ///< see answer() and reusable()
}  // namespace action
using Action = std::variant<action::Write, action::Read, action::Barrier, action::Finished>;

/// What it waits for; each has its own deadline and error code.
enum class Waiting { connection, greeting, barrier, reply, nothing };

class Exchange {
 public:
  /// `fresh`: this connection has not been greeted. `cap`: most bytes of the reply.
  Exchange(const std::vector<Command>& commands, Closing closing, bool barrier, bool fresh,
           std::size_t cap);

  /// Undefined for events after Finished.
  Action resume(const Event& event);

  [[nodiscard]] Waiting waiting() const noexcept { return waiting_; }
  /// The connection may carry another exchange.
  [[nodiscard]] bool reusable() const noexcept { return reusable_; }
  /// Without its timings, which only the engine knows.
  [[nodiscard]] Answer& answer() noexcept { return answer_; }

 private:
  Action on(const event::Connected&);
  Action on(const event::Bytes& event);
  Action on(const event::EndOfStream&);
  Action on(const event::Released&);
  Action on(const event::Failed& event);
  Action advance(ReplyReader::State state);
  Action finish(const Error& error);
  Action write_commands(std::string prefix);

  const std::vector<Command>& commands_;
  Closing closing_;
  bool barrier_;
  bool fresh_;
  bool reusable_{false};
  Waiting waiting_{Waiting::connection};
  std::size_t cap_;
  ReplyReader reader_;
  Answer answer_;
};

}  // namespace stillgate::runtime_api
