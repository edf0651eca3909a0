// When a cutover is announced: behind its proof, before anything of it is written.
#include "announced_cutover.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

namespace stillgate::fleet {
namespace {

/// Nothing is changed before what stood there is on record, or going back, before the barrier.
bool is_first_of_changes(const hold::Step& step) {
  if (std::holds_alternative<hold::step::KeepCutover>(step)) return true;
  const auto* batch = std::get_if<runtime_api::Batch>(&step);
  return batch != nullptr && batch->barrier;
}

}  // namespace

AnnouncedCutover::AnnouncedCutover(hold::CutoverPlan& plan, const CutoverWatch& watch,
                                   CutoverBegun begun)
    : plan_(plan), watch_(watch), begun_(std::move(begun)) {}

AnnouncedCutover::~AnnouncedCutover() {
  if (is_told_ && watch_.ended) watch_.ended();
}

hold::Step AnnouncedCutover::next(const hold::Observation& observation) {
  hold::Step step = plan_.next(observation);
  events_ = plan_.take_events();
  if (!is_told_ && watch_.begins && is_first_of_changes(step)) {
    is_told_ = true;
    begun_.hold = plan_.hold_id();
    if (const auto deadline = plan_.hold_deadline()) {
      const auto left = std::chrono::floor<std::chrono::milliseconds>(*deadline - observation.now);
      begun_.left = std::max(left, std::chrono::milliseconds(0));
    }
    watch_.begins(begun_);
  }
  return step;
}

}  // namespace stillgate::fleet
