// What a resume leaves in the journal of holds that are over: which of them their holder knows of.
#pragma once

#include <string>
#include <vector>

#include <stillgate/report.hpp>

#include "hold/record/record.hpp"
#include "journal.hpp"

namespace stillgate::fleet {

/// Of `records`, which were in the journal, keeps what is open now with `end`, so that a later
/// resume knows the last hold of a frontend; and of `ended` it notes which the report has told.
/// `known` is the id of a hold of which the caller knows that it ends now; empty: none.
void note_told(const Journal& journal, const Report& report,
               const std::vector<hold::Record>& records, const std::vector<hold::Record>& ended,
               const hold::RecordEnd& end, const std::string& known);

}  // namespace stillgate::fleet
