// The rule of who may end a hold.
#include "owner.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include <fmt/format.h>

#include "lookup.hpp"
#include "record.hpp"

namespace stillgate::hold {
namespace {

/// As it is typed, without the endpoints.
std::string resume_of(const Record& hold) {
  std::string command = "stillgate resume";
  std::set<std::string> named;
  for (const HeldSwitch& one : hold.switches) {
    if (named.insert(one.frontend).second) command += " " + one.frontend;
  }
  return command;
}

Error refusal(std::string message) { return {Errc::not_the_holder, std::move(message)}; }

}  // namespace

std::string whose(const Record& hold, WallTime now) {
  return fmt::format("held by {}{}{}, {}; its id is {}", hold.owner,
                     hold.reason.empty() ? "" : ": ", hold.reason, time_left(hold, now), hold.id);
}

std::string time_left(const Record& hold, WallTime now) {
  if (!hold.deadline) return "without a deadline";
  const auto left = std::chrono::ceil<std::chrono::seconds>(*hold.deadline - now);
  return fmt::format("until {}, {} s left", clock(*hold.deadline),
                     std::max<std::int64_t>(0, left.count()));
}

std::optional<Error> not_the_holder(const Record& hold, const Claim& claim,
                                    const std::vector<Record>& journal, WallTime now) {
  if (claim.force) return std::nullopt;
  if (!claim.hold.empty()) {
    if (claim.hold == hold.id) return std::nullopt;
    return refusal(fmt::format("this is not hold {}: {}", claim.hold, whose(hold, now)));
  }
  const bool over = hold.deadline && *hold.deadline <= now;
  const bool known = std::any_of(journal.begin(), journal.end(),
                                 [&hold](const Record& one) { return one.id == hold.id; });
  if (over || known || hold.owner == claim.owner) return std::nullopt;
  const std::string command = claim.command.empty() ? resume_of(hold) : claim.command;
  return refusal(fmt::format(
      "{}; ask them, or wait; if it is yours, or with their word, '{} --hold {}'; to overrule them "
      "'{} --force --reason TEXT'",
      whose(hold, now), command, hold.id, command));
}

}  // namespace stillgate::hold
