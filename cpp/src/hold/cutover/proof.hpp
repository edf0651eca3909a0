// What is against a cutover: all that is unknown, backends that would be left without a server,
// what could not be undone, and a hold that is over, or somebody else's.
#pragma once

#include <string>
#include <vector>

#include <stillgate/report.hpp>

#include "cutover_rows.hpp"

namespace stillgate::hold::proof {

struct Proof {
  bool awaits_check{false};  ///< nothing is against it but that a first check has not finished
  /// What counts as up although no check shows it, in words.
  std::vector<std::string> unshown{};
};

/// Sets the report's ending and error where something is; each change has its own.
[[nodiscard]] Proof refuse(CutRows& rows, const CutoverRequest& request, Report& report,
                           WallTime now);

/// What is unknown, or could not be undone, and HAProxies that cannot be asked; whether anything
/// would be up does not count. So likewise.
void refuse_unknown(CutRows& rows, Report& report);

}  // namespace stillgate::hold::proof
