// One switch that a guard keeps held: what is to be held, how far that has come, what is to be
// done.
#pragma once

#include <cstdint>
#include <optional>

#include "hold/record/record.hpp"
#include "hold/record/record_variable.hpp"

namespace stillgate::hold {

/// One switch as a survey of its endpoint found it.
struct SwitchReading {
  std::optional<std::int64_t> limit{};  ///< empty: HAProxy has no such frontend
  Remembered remembered{};
  bool recorded{false};  ///< our record is there
  bool locked{false};    ///< the lock there is ours
  bool ended{false};     ///< our hold is marked there as ended
  bool taken{false};     ///< the lock there is somebody else's, and in effect
};

struct GuardedSwitch {
  enum class State {
    held,      ///< by us, as far as is known
    released,  ///< by the guard
    resumed,   ///< by somebody else, or gone
  };
  enum class Todo { nothing, release, put_back, record };

  HeldSwitch held;
  State state{State::held};
  Todo todo{Todo::nothing};  ///< as of the last survey
  bool reapplied{false};     ///< held again after a reload or restart
  bool cleared{false};       ///< our record and our lock were taken back
  SwitchReading seen{};
};

}  // namespace stillgate::hold
