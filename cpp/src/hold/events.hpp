// The events of a call, made from its report.
#pragma once

#include <string>
#include <vector>

#include <stillgate/event.hpp>
#include <stillgate/report.hpp>

#include "hold/record/record.hpp"

namespace stillgate::hold {

[[nodiscard]] Event checked_event(const Report& report, const std::vector<std::string>& frontends,
                                  WallTime now);

/// All switches were read back as held; the drain is still to come.
[[nodiscard]] Event held_event(const Record& record, const Report& report, WallTime now);

[[nodiscard]] Event drained_event(const Record& record, const Report& report, WallTime now);

/// The rollback, and each endpoint whose state is unknown after it.
[[nodiscard]] std::vector<Event> rolled_back_events(const Record& record, const Report& report,
                                                    WallTime now);

/// For each hold of the report whose deadline was moved.
[[nodiscard]] std::vector<Event> extended_events(const Report& report, WallTime now);

/// How a hold ended, as the resume of it says.
struct Release {
  std::string who;          ///< user@host of who resumes
  bool at_deadline{false};  ///< the deadline resumes, and not a person
};

/// For each hold of the report that is over, or over in part, and for each endpoint that is lost.
[[nodiscard]] std::vector<Event> resumed_events(const Report& report, const Release& release,
                                                WallTime now);

}  // namespace stillgate::hold
