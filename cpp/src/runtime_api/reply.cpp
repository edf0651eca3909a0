// Separates refusals from answers by the severity that HAProxy itself prints.
#include "reply.hpp"

#include <fmt/format.h>

namespace stillgate::runtime_api {
namespace {

// Syslog's numbers: 0 emergency ... 3 error, 4 warning, 5 notice, 6 info.
constexpr char least_severe_error = '3';

/// The digit of a leading `[n]: `, or nothing.
std::optional<char> severity(std::string_view text) {
  if (text.size() < 5 || text[0] != '[' || text.substr(2, 3) != "]: ") return std::nullopt;
  if (text[1] < '0' || text[1] > '7') return std::nullopt;
  return text[1];
}

Error refused(Errc code, std::string_view ours, std::string_view words) {
  return {code, std::string(ours), std::string(words)};
}

Error refusal_of(std::string_view words) {
  if (words.starts_with("Permission denied")) {
    return refused(Errc::permission_denied,
                   "the level of this stats socket does not allow the command; set 'level admin' "
                   "on its 'stats socket' line",
                   words);
  }
  if (words.starts_with("No such frontend")) {
    return refused(Errc::no_such_frontend,
                   "this HAProxy has no frontend of that name; 'show stat' lists its frontends",
                   words);
  }
  return refused(Errc::command_failed, "HAProxy refused the command", words);
}

}  // namespace

Reply read_reply(std::string_view raw) {
  while (raw.ends_with('\n')) raw.remove_suffix(1);
  const auto level = severity(raw);
  if (!level) return {std::string(raw), std::nullopt};
  raw.remove_prefix(5);
  Reply reply{std::string(raw), std::nullopt};
  if (*level <= least_severe_error) {
    reply.refusal = refusal_of(raw);
  } else if (raw.starts_with("Unknown command")) {
    // Marked as information by HAProxy, because its list of commands follows.
    reply.refusal = refused(Errc::unknown_command, "this HAProxy does not know the command",
                            raw.substr(0, raw.find('\n')));
  }
  return reply;
}

}  // namespace stillgate::runtime_api
