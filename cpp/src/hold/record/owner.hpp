// Who may end or extend a hold before its deadline.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <stillgate/error.hpp>

#include "record.hpp"

namespace stillgate::hold {

/// What a caller says of himself.
struct Claim {
  std::string owner;
  std::string hold;    ///< the id that he names; empty: none
  bool force{false};   ///< he overrules whoever holds
  std::string reason;  ///< why he does
};

/// Why this caller must leave that hold alone, or nothing: not_the_holder. The holder is who has
/// the same owner's name, or the hold in the journal here, or names its id; after the deadline
/// anybody is. Who names another id means another hold, whatever else is true.
[[nodiscard]] std::optional<Error> not_the_holder(const Record& hold, const Claim& claim,
                                                  const std::vector<Record>& journal, WallTime now);

/// `held by anna@lb: migration 42, until 12:00:05 UTC, 7 s left; its id is ...`
[[nodiscard]] std::string whose(const Record& hold, WallTime now);

/// `until 12:00:05 UTC, 7 s left`, or `without a deadline`.
[[nodiscard]] std::string time_left(const Record& hold, WallTime now);

}  // namespace stillgate::hold
