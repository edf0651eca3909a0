// What an HAProxy keeps of the lock on a frontend: a chain of those who had it, and who ended last.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record.hpp"
#include "runtime_api/command.hpp"
#include "runtime_api/reply.hpp"

namespace stillgate::hold {

/// A process variable can be set once and never unset. So the lock is a chain: to take it,
/// set the variable that names the successor of its last holder. The chain begins after this id.
inline constexpr std::string_view lock_root = "0";

/// A hold that has the lock, or had it.
struct LockHolder {
  std::string id;
  std::optional<WallTime> deadline{};  ///< empty: until it is marked as ended
  std::optional<Record> record{};      ///< empty where it cannot be read
};

enum class How { resumed, expired, rolled_back, opened };

/// The last hold that ended on a frontend.
struct Ended {
  std::string id;
  How how{};
  WallTime at;
  std::string by{};  ///< who resumed it; empty: unknown
};

/// One frontend's lock, as found at an HAProxy. `last` is a hint: others may have followed.
struct LockSeen {
  std::optional<LockHolder> last{};
  std::optional<Ended> ended{};

  /// Seen to have it still.
  [[nodiscard]] bool taken(WallTime now) const;
};

[[nodiscard]] bool has_ended(const LockHolder& holder, const std::optional<Ended>& ended,
                             WallTime now);

/// `ID.DEADLINE.RECORD`. `record` should have that switch only.
[[nodiscard]] std::string lock_value(const Record& record);

[[nodiscard]] runtime_api::Command read_hint(std::string_view frontend);
[[nodiscard]] runtime_api::Command read_end(std::string_view frontend);
[[nodiscard]] runtime_api::Command read_successor(std::string_view frontend, std::string_view id);

/// Errors: bad_command, too long.
[[nodiscard]] Result<std::vector<runtime_api::Command>> follow(std::string_view frontend,
                                                               std::string_view id,
                                                               std::string_view value);
/// The successor of `last` on a frontend.
struct LockPlace {
  std::string_view frontend;
  std::string_view last;
};

/// As follow(), for the hold `id`, and only where that has become the successor at `before`. So
/// one line after the other may be sent without waiting: whoever loses one gets none behind it.
/// Needs name_follower().
[[nodiscard]] Result<std::vector<runtime_api::Command>> follow_behind(const LockPlace& before,
                                                                      const LockPlace& place,
                                                                      std::string_view id,
                                                                      std::string_view value);
/// Has HAProxy know that id, to compare with.
[[nodiscard]] std::vector<runtime_api::Command> name_follower(std::string_view id);
[[nodiscard]] Result<std::vector<runtime_api::Command>> write_hint(std::string_view frontend,
                                                                   std::string_view value);

/// Frees the lock of that hold, and says how it ended. For 2.4 and later. Overwrites the
/// last mark: only the holder of the lock may mark, or a free lock would count as taken.
[[nodiscard]] std::vector<runtime_api::Command> mark_ended(std::string_view frontend,
                                                           std::string_view id, How how,
                                                           WallTime now, std::string_view by = {});

/// The same where it is not known whether that hold has the lock: marks only there. Needs
/// name_follower().
[[nodiscard]] std::vector<runtime_api::Command> mark_ended_if_taken(const LockPlace& place,
                                                                    std::string_view id, How how,
                                                                    WallTime now);

/// The answers; nothing where nothing was set, or nothing that can be read.
[[nodiscard]] std::optional<LockHolder> read_lock(const runtime_api::Reply& reply,
                                                  std::string_view endpoint,
                                                  std::string_view frontend);
[[nodiscard]] std::optional<Ended> read_ended(const runtime_api::Reply& reply);

}  // namespace stillgate::hold
