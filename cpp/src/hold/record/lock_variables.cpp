// Writing and reading the lock's variables.
#include "lock_variables.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "record_time.hpp"
#include "record_variable.hpp"

namespace stillgate::hold {
namespace {

using runtime_api::Command;
using runtime_api::Reply;

constexpr std::array<std::pair<How, std::string_view>, 4> words{{{How::resumed, "resumed"},
                                                                 {How::expired, "expired"},
                                                                 {How::rolled_back, "rolled_back"},
                                                                 {How::opened, "opened"}}};

std::string hint_of(std::string_view frontend) { return "stillgate_lock_" + encode_name(frontend); }

std::string end_of(std::string_view frontend) { return "stillgate_ended_" + encode_name(frontend); }

/// An id may have a '-', which a variable's name may not.
std::string successor_of(std::string_view frontend, std::string_view id) {
  return fmt::format("stillgate_next_{}_{}", encode_name(frontend), encode_name(id));
}

std::string follower_of(std::string_view id) { return "stillgate_turn_" + encode_name(id); }

/// Up to the next dot, which is taken too.
std::string_view take_part(std::string_view& text) {
  const std::size_t dot = text.find('.');
  const std::string_view part = text.substr(0, dot);
  text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
  return part;
}

Result<std::vector<Command>> with_experiments(Result<Command> command) {
  if (!command) return command.error();
  return std::vector<Command>{Command::allow_experiments(), *std::move(command)};
}

std::string end_mark(std::string_view id, How how, WallTime now, std::string_view by) {
  std::string_view word;
  for (const auto& [known, text] : words) {
    if (known == how) word = text;
  }
  std::string value = fmt::format("{}.{}.{}", id, word, to_ms(now));
  if (!by.empty()) value += fmt::format(".{}", to_base64url(by));
  return value;
}

}  // namespace

bool has_ended(const LockHolder& holder, const std::optional<Ended>& ended, WallTime now) {
  return (ended && ended->id == holder.id) || (holder.deadline && *holder.deadline <= now);
}

bool LockSeen::taken(WallTime now) const { return last && !has_ended(*last, ended, now); }

std::string lock_value(const Record& record) {
  return fmt::format("{}.{}.{}", record.id, record.deadline ? to_ms(*record.deadline) : 0,
                     pack(record));
}

Command read_hint(std::string_view frontend) { return *Command::get_variable(hint_of(frontend)); }

Command read_end(std::string_view frontend) { return *Command::get_variable(end_of(frontend)); }

Command read_successor(std::string_view frontend, std::string_view id) {
  return *Command::get_variable(successor_of(frontend, id));
}

Result<std::vector<Command>> follow(std::string_view frontend, std::string_view id,
                                    std::string_view value) {
  return with_experiments(Command::set_variable_once(successor_of(frontend, id), value));
}

Result<std::vector<Command>> follow_behind(const LockPlace& before, const LockPlace& place,
                                           std::string_view id, std::string_view value) {
  return with_experiments(Command::set_variable_where(
      successor_of(place.frontend, place.last), value, successor_of(before.frontend, before.last),
      follower_of(id), true));
}

std::vector<Command> name_follower(std::string_view id) {
  return {Command::allow_experiments(), *Command::set_variable_once(follower_of(id), id)};
}

Result<std::vector<Command>> write_hint(std::string_view frontend, std::string_view value) {
  return with_experiments(Command::set_variable(hint_of(frontend), value));
}

std::vector<Command> mark_ended(std::string_view frontend, std::string_view id, How how,
                                WallTime now, std::string_view by) {
  return {Command::allow_experiments(),
          *Command::set_variable(end_of(frontend), end_mark(id, how, now, by))};
}

std::vector<Command> mark_ended_if_taken(const LockPlace& place, std::string_view id, How how,
                                         WallTime now) {
  return {Command::allow_experiments(),
          *Command::set_variable_where(end_of(place.frontend), end_mark(id, how, now, {}),
                                       successor_of(place.frontend, place.last), follower_of(id),
                                       false)};
}

std::optional<LockHolder> read_lock(const Reply& reply, std::string_view endpoint,
                                    std::string_view frontend) {
  auto text = value_in(reply);
  if (!text) return std::nullopt;
  LockHolder holder{std::string(take_part(*text))};
  const auto deadline = read_time(take_part(*text));
  if (!is_hold_id(holder.id) || !deadline) return std::nullopt;
  if (*deadline != WallTime()) holder.deadline = deadline;
  if (auto record = unpack(*text, endpoint, frontend)) holder.record = *std::move(record);
  return holder;
}

std::optional<Ended> read_ended(const Reply& reply) {
  auto text = value_in(reply);
  if (!text) return std::nullopt;
  Ended ended{std::string(take_part(*text)), {}, {}};
  const std::string_view how = take_part(*text);
  const auto at = read_time(take_part(*text));
  // Marks of an older release have no such part.
  ended.by = from_base64url(*text).value_or("");
  for (const auto& [known, word] : words) {
    if (word != how || !at || !is_hold_id(ended.id)) continue;
    ended.how = known;
    ended.at = *at;
    return ended;
  }
  return std::nullopt;
}

}  // namespace stillgate::hold
