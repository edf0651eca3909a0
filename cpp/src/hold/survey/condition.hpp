// What must still be true when commands are sent that follow from a survey: whose hold it is.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime_api/batch.hpp"
#include "survey.hpp"

namespace stillgate::hold {

/// A frontend that is to be changed.
struct Place {
  std::size_t place{0};  ///< in a Seen
  std::string name;
  std::vector<std::string> known{};  ///< holds beside those that were seen
  std::string only{};                ///< this hold must still stand there
};

/// No other hold has come to these frontends since `seen`: none is on record, and none has the
/// lock. Where only `maxconn` below 2.4 could hold, HAProxy does not know whose hold it is, and
/// there is no condition.
[[nodiscard]] runtime_api::Condition no_other_hold(const Seen& seen, const std::string& endpoint,
                                                   const std::vector<Place>& places);

}  // namespace stillgate::hold
