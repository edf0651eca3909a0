// Sorting a resume's report into the records of holds that are over.
#include "ended_holds.hpp"

#include <algorithm>

namespace stillgate::fleet {
namespace {

bool is_open(const Switch& one) {
  return one.verdict == Verdict::open || one.verdict == Verdict::resumed;
}

bool is_open(const Report& report, const hold::HeldSwitch& held) {
  return std::ranges::any_of(report.switches, [&held](const Switch& one) {
    return one.endpoint == held.endpoint && one.frontend == held.frontend && is_open(one);
  });
}

bool has_told(const Report& report, const hold::Record& record) {
  return std::ranges::any_of(report.switches, [&record](const Switch& one) {
    return one.ended && one.hold_id == record.id;
  });
}

}  // namespace

void note_told(const Journal& journal, const Report& report,
               const std::vector<hold::Record>& records, const std::vector<hold::Record>& ended,
               const hold::RecordEnd& end, const std::string& known) {
  for (hold::Record record : records) {
    std::erase_if(record.switches,
                  [&report](const hold::HeldSwitch& held) { return !is_open(report, held); });
    if (record.switches.empty()) continue;
    record.end = end;
    (void)journal.keep_ended(record);
  }
  for (hold::Record record : ended) {
    if (!has_told(report, record) && record.id != known) continue;
    record.end->told = true;
    (void)journal.keep_ended(record);
  }
}

}  // namespace stillgate::fleet
