// Leaving streams out of a list.
#include "left_out.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime_api/tracked.hpp"

namespace stillgate::hold {

using runtime_api::Command;
using runtime_api::Reply;
using runtime_api::Stream;
using runtime_api::Tracked;

namespace {

std::string group_of(const Stream& stream) { return stream.frontend + '/' + *stream.backend; }

Tracked count_groups(const std::vector<Stream>& streams) {
  Tracked groups;
  for (const Stream& stream : streams) ++groups[group_of(stream)];
  return groups;
}

/// They were read after the list: what ended in between is waited for once more.
Tracked read_tracked(std::span<const Reply> replies) {
  Tracked sums;
  for (const Reply& reply : replies) {
    // A backend without such a table is left out by its name.
    if (reply.refusal) continue;
    const auto tracked = runtime_api::parse_tracked(reply.text);
    if (!tracked) continue;
    for (const auto& [group, count] : *tracked) sums[group] += count;
  }
  return sums;
}

}  // namespace

std::vector<Command> table_commands(const NameList& except) {
  std::vector<Command> commands;
  static_cast<void>(except.first([&commands](std::string_view name) {
    if (auto command = Command::show_tracked(name)) commands.push_back(*std::move(command));
    return false;
  }));
  return commands;
}

void leave_out_backends(std::vector<Stream>& streams, const NameList& except) {
  std::erase_if(streams, [&except](const Stream& stream) {
    return !stream.backend || except.has(*stream.backend);
  });
}

/// Which ones are tracked is not told: the oldest, for the names in a message.
void leave_out_tracked(std::vector<Stream>& streams, const std::vector<Stream>& listed,
                       std::span<const Reply> tables) {
  const Tracked all = count_groups(listed);
  const Tracked tracked = read_tracked(tables);
  Tracked excess = count_groups(streams);
  for (auto& [group, count] : excess) {
    const auto left_out = tracked.find(group);
    if (left_out == tracked.end()) {
      count = 0;
    } else {
      count -= std::min(count, std::max<std::int64_t>(0, all.at(group) - left_out->second));
    }
  }
  std::ranges::stable_sort(streams, std::greater(),
                           [](const Stream& one) { return one.age_s.value_or(0); });
  std::erase_if(streams, [&](const Stream& stream) { return excess.at(group_of(stream))-- > 0; });
}

}  // namespace stillgate::hold
