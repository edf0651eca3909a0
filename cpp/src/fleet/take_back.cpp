// Ending the hold of a suspend that failed inside Stillgate, and saying where that failed, too.
#include "take_back.hpp"

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace stillgate::fleet {
namespace {

/// As one word of a shell's line.
std::string shell_word(std::string_view word) {
  static constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:@%+,=";
  if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) {
    return std::string(word);
  }
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
  return out + "'";
}

std::string ending_command(const std::vector<std::string>& urls,
                           const std::vector<std::string>& frontends, const std::string& id) {
  std::string line = "stillgate resume";
  for (const std::string& name : frontends) line += " " + shell_word(name);
  line += " --hold " + shell_word(id);
  for (const std::string& url : urls) line += " -e " + shell_word(url);
  return line;
}

bool is_left(const Switch& one) {
  return one.verdict == Verdict::held || one.verdict == Verdict::unknown;
}

/// What the caught exception says, while it is handled; nothing where there is no memory for it.
std::string words_of_exception() noexcept {
  try {
    try {
      throw;
    } catch (const std::exception& thrown) {
      return thrown.what();
    } catch (...) {
      return "an unknown exception";
    }
  } catch (...) {
    return {};
  }
}

std::string words_of(const Report& report, const std::vector<Switch>& switches) {
  if (report.error) return report.error->message;
  for (const Switch& one : switches) {
    if (one.error) return one.error->message;
  }
  return "it is still held";
}

/// Without memory for the reasons the message does without.
void explain(Report& report, const std::string& why, const std::string& why_not_ended) noexcept {
  try {
    report.error->message =
        fmt::format("the suspend failed inside Stillgate ({}), and then its end ({}): {}", why,
                    why_not_ended, report.error->message);
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

/// Ends the hold. Where something of it is left, `unended` says so.
bool has_ended(const Suspending& parts, Report& unended, const std::string& why) noexcept {
  std::string why_not_ended;
  try {
    Report undone = parts.take_back();
    if (std::ranges::none_of(undone.switches, is_left)) return true;
    unended.switches = std::move(undone.switches);
    why_not_ended = words_of(undone, unended.switches);
  } catch (...) {
    why_not_ended = words_of_exception();
  }
  explain(unended, why, why_not_ended);
  return false;
}

}  // namespace

Report unended(const std::vector<std::string>& urls, const std::vector<std::string>& frontends,
               Hold hold) {
  Report report;
  report.action = "suspend";
  report.ending = Ending::endpoint_failed;
  for (const std::string& url : urls) {
    for (const std::string& frontend : frontends) {
      Switch& one = report.switches.emplace_back();
      one.endpoint = url;
      one.frontend = frontend;
      one.hold_id = hold.id;
      one.verdict = Verdict::unknown;
    }
  }
  report.error =
      Error{Errc::still_held,
            fmt::format(
                "the hold could not be ended; {} is, or may be, still held at {} until {}; to end "
                "it: {}",
                fmt::join(frontends, ", "), fmt::join(urls, ", "),
                hold.max_hold_s ? "its deadline" : "somebody resumes",
                ending_command(urls, frontends, hold.id))};
  hold.frontends = frontends;
  report.holds.push_back(std::move(hold));
  return report;
}

Report suspend_or_take_back(const Suspending& parts, Report unended) {
  try {
    return parts.suspend();
  } catch (...) {
    const bool may_hold = parts.may_hold(unended.holds.front());
    const std::string why = words_of_exception();
    if (has_ended(parts, unended, why) || !may_hold) throw;
  }
  return unended;
}

}  // namespace stillgate::fleet
