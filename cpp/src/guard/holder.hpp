// The process that started the guard: its lines on our standard input, our answers on standard
// output.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <unistd.h>

namespace stillgate::guard {

/// Not thread-safe.
class Holder {
 public:
  /// `received`: what has already come after the order.
  explicit Holder(std::string received) : received_(std::move(received)) {}

  /// Readable where it says something or has died; -1 once it has.
  [[nodiscard]] int descriptor() const noexcept { return is_there_ ? STDIN_FILENO : -1; }
  /// Reads what there is; call when the descriptor has something. False: it has died.
  bool read();
  /// The next line that it said, without its end.
  std::optional<std::string> take_line();
  void say(const std::string& line) const;

 private:
  bool is_there_{true};
  std::string received_;
};

}  // namespace stillgate::guard
