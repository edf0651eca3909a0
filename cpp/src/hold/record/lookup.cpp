// Records of holds, found by endpoint and frontend.
#include "lookup.hpp"

#include <array>
#include <chrono>
#include <ctime>

namespace stillgate::hold {

const Record* find_record(const std::vector<Record>& records, std::string_view endpoint,
                          std::string_view frontend) {
  const Record* newest = nullptr;
  for (const Record& record : records) {
    if (record.find(endpoint, frontend) == nullptr) continue;
    if (newest == nullptr || record.started_at > newest->started_at) newest = &record;
  }
  return newest;
}

std::optional<Counters> counters_before(const Record& record, std::string_view endpoint,
                                        std::string_view frontend,
                                        const std::vector<Record>& records) {
  const HeldSwitch* held = record.find(endpoint, frontend);
  if (held != nullptr && held->counters) return held->counters;
  const Record* journal = find_record(records, endpoint, frontend);
  if (journal == nullptr || journal->id != record.id) return std::nullopt;
  return journal->find(endpoint, frontend)->counters;
}

namespace {

std::string local(WallTime time, const char* form) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), form, &parts)};
}

}  // namespace

std::string clock(WallTime time) { return local(time, "%H:%M:%S %Z"); }

std::string day_and_clock(WallTime time) { return local(time, "%Y-%m-%d %H:%M:%S %Z"); }

}  // namespace stillgate::hold
