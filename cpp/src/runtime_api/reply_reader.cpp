// The framing of HAProxy's prompt mode (docs/haproxy-facts.md, section 3).
#include "reply_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace stillgate::runtime_api {
namespace {

constexpr std::string_view prompt = "\n> ";
// Unlike a worker's, it comes without a line feed ahead.
constexpr std::string_view master_prompt = "master> ";
constexpr unsigned greeting_commands = 2;

}  // namespace

ReplyReader::ReplyReader(bool fresh, Closing closing, std::size_t expected, std::size_t cap)
    : prompts_due_(fresh ? greeting_commands : 0),
      closing_(closing),
      expected_(expected),
      cap_(cap) {}

ReplyReader::State ReplyReader::feed(std::string_view bytes) {
  total_ += bytes.size();
  if (total_ > cap_) {
    return fail(
        Errc::reply_too_large,
        fmt::format(
            "the reply is longer than the limit of {} bytes; raise max_reply_bytes or ask for less",
            cap_));
  }
  buffer_.append(bytes);
  return scan();
}

ReplyReader::State ReplyReader::scan() {
  if (prompts_due_ > 0) {
    if (const State state = scan_greeting(); state == State::failed) return state;
    if (prompts_due_ > 0) return State::more;
  }
  const bool is_last_framed = closing_ == Closing::keep;
  while (replies_.size() + (is_last_framed ? 0 : 1) < expected_) {
    const auto at = find_prompt();
    if (!at) return State::more;
    replies_.push_back(buffer_.substr(start_, *at - start_));
    start_ = scanned_ = *at + prompt.size();
  }
  if (!is_last_framed) return State::more;
  if (buffer_.size() > start_) {
    return fail(Errc::malformed_reply, "HAProxy sent more replies than it got commands");
  }
  return State::complete;
}

ReplyReader::State ReplyReader::scan_greeting() {
  const std::string_view seen = std::string_view(buffer_).substr(start_);
  if (prompts_due_ == greeting_commands) {
    // The answer to `prompt` is only the prompt, so the first bytes show who answers.
    const std::string_view head = seen.substr(0, prompt.size());
    if (head != prompt.substr(0, head.size())) {
      const std::size_t known = std::min(seen.size(), master_prompt.size());
      if (seen.substr(0, known) != master_prompt.substr(0, known)) {
        return fail(Errc::not_haproxy,
                    "the peer does not speak HAProxy's runtime API; is this the stats socket?");
      }
      if (known < master_prompt.size()) return State::more;
      return fail(Errc::master_socket,
                  "this is a master CLI socket; name the stats socket of the worker instead");
    }
  }
  while (prompts_due_ > 0) {
    const auto at = find_prompt();
    if (!at) return State::more;
    start_ = scanned_ = *at + prompt.size();
    --prompts_due_;
  }
  return State::complete;
}

std::optional<std::size_t> ReplyReader::find_prompt() {
  const std::size_t at = buffer_.find(prompt, scanned_);
  if (at == std::string::npos) {
    // A prompt may be split anywhere. Search again only from its possible beginnings, so that a
    // long reply in small chunks is not searched from its start each time.
    const std::size_t kept = prompt.size() - 1;
    scanned_ = std::max(start_, buffer_.size() > kept ? buffer_.size() - kept : 0);
    return std::nullopt;
  }
  return at;
}

ReplyReader::State ReplyReader::end_of_stream() {
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  const bool is_last = replies_.size() + 1 == expected_;
  if (closing_ == Closing::quit && prompts_due_ == 0 && is_last && rest.ends_with(prompt)) {
    replies_.emplace_back(rest.substr(0, rest.size() - prompt.size()));
    start_ = buffer_.size();
    return State::complete;
  }
  if (prompts_due_ > 0 && total_ == 0) {
    return fail(Errc::early_eof, "the peer closed the connection without an answer");
  }
  return fail(Errc::early_eof,
              "the peer closed the connection before its reply was complete; it is unknown whether "
              "the command ran");
}

ReplyReader::State ReplyReader::fail(Errc code, std::string message) {
  error_ = Error{code, std::move(message)};
  return State::failed;
}

}  // namespace stillgate::runtime_api
