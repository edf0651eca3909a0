// Bytes in, replies out: the framing of HAProxy's prompt mode, for chunks of any size.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace stillgate::runtime_api {

/// How the end of the last reply is known.
enum class Closing {
  /// By the prompt `\n> `; the connection stays open. Only for commands whose replies cannot
  /// hold a line that begins with `> `: the ones that Stillgate itself makes.
  keep,
  /// By `quit` after the last command, and the end of the stream, so that its reply may have any
  /// text; the ones before it end by their prompts.
  quit,
};

/// What is sent before the first command of a connection. `prompt` makes a reply's end
/// visible; the severity makes a refusal visible.
inline constexpr std::string_view greeting = "prompt\nset severity-output number\n";
inline constexpr std::string_view farewell = "quit\n";

/// Reads one connection's stream. First the two answers to the greeting, then one text per
/// command. Not thread-safe.
class ReplyReader {
 public:
  /// `fresh`: the greeting is yet to be answered. `cap`: most bytes of this reading.
  ReplyReader(bool fresh, Closing closing, std::size_t expected, std::size_t cap);

  enum class State { more, complete, failed };

  /// Takes the next bytes, in chunks of any size. Not to be called after `complete` or `failed`.
  State feed(std::string_view bytes);
  /// The peer closed its side.
  State end_of_stream();

  [[nodiscard]] bool greeted() const noexcept { return prompts_due_ == 0; }
  /// Complete replies so far, raw.
  [[nodiscard]] std::vector<std::string>& replies() noexcept { return replies_; }
  /// After `failed`; without a partial text.
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  /// What came of the reply that is still open.
  [[nodiscard]] std::string partial() const { return buffer_.substr(start_); }

 private:
  State scan();
  State scan_greeting();
  State fail(Errc code, std::string message);
  [[nodiscard]] std::optional<std::size_t> find_prompt();

  std::string buffer_;
  std::size_t start_{0};    ///< of the reply that is open
  std::size_t scanned_{0};  ///< no prompt begins before here
  std::size_t total_{0};
  unsigned prompts_due_;  ///< answers to the greeting still to come
  Closing closing_;
  std::size_t expected_;
  std::size_t cap_;
  std::vector<std::string> replies_;
  std::optional<Error> error_;
};

}  // namespace stillgate::runtime_api
