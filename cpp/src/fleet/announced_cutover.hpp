// A cutover whose watch is told of it: right before its first change, and when nothing of it is on
// its way any more.
#pragma once

#include <stillgate/fleet.hpp>

#include "hold/cutover/cutover_plan.hpp"
#include "hold/plan.hpp"

namespace stillgate::fleet {

/// Carries out a CutoverPlan. All must outlive it.
class AnnouncedCutover final : public hold::Plan {
 public:
  AnnouncedCutover(hold::CutoverPlan& plan, const CutoverWatch& watch, CutoverBegun begun);
  AnnouncedCutover(const AnnouncedCutover&) = delete;
  AnnouncedCutover& operator=(const AnnouncedCutover&) = delete;
  ~AnnouncedCutover() override;

  hold::Step next(const hold::Observation& observation) override;

 private:
  hold::CutoverPlan& plan_;
  const CutoverWatch& watch_;
  CutoverBegun begun_;
  bool is_told_{false};
};

}  // namespace stillgate::fleet
