// Who may end or extend a hold before its deadline.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <stillgate/error.hpp>

#include "record.hpp"

namespace stillgate::hold {

/// Who the caller claims to be.
struct Claim {
  std::string owner;
  std::string hold;    ///< the id that the caller names; empty: none
  bool force{false};   ///< overrule the holder
  std::string reason;  ///< why
  /// What is typed again with --hold or --force; empty: the resume of that hold.
  std::string command{};
};

/// not_the_holder if this caller may not end that hold, else nothing. The holder has the same
/// owner, or has the hold in the journal here, or names its id; after the deadline anybody may end
/// it. A caller that names another id means another hold, whatever else is true.
[[nodiscard]] std::optional<Error> not_the_holder(const Record& hold, const Claim& claim,
                                                  const std::vector<Record>& journal, WallTime now);

/// `held by anna@lb: migration 42, until 12:00:05 UTC, 7 s left; its id is ...`
[[nodiscard]] std::string whose(const Record& hold, WallTime now);

/// `until 12:00:05 UTC, 7 s left`, or `without a deadline`.
[[nodiscard]] std::string time_left(const Record& hold, WallTime now);

}  // namespace stillgate::hold
