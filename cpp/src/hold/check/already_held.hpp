// Why a frontend that is held or stopped already cannot be held.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/report.hpp>

#include "hold/survey/survey.hpp"

namespace stillgate::hold {

/// Who asks: by his name, and by the holds that are on record here.
struct Asking {
  const std::string& owner;
  const std::vector<Record>& journal;
  WallTime now;
};

/// Why a new hold is not possible there: a hold of Stillgate's, or a limit of 0 set by hand. Sets
/// the hold's id in `target`. `record`: what record_of() gives.
[[nodiscard]] std::optional<Error> held_already(Switch& target, const Seen& seen,
                                                std::size_t frontend, const Record* record,
                                                const Asking& asking);

/// A frontend that refuses its clients is not held.
[[nodiscard]] Error stopped(std::string_view frontend);

}  // namespace stillgate::hold
