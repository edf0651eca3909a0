// A function that hands out a step in its middle, and continues after it when it is called again.
#pragma once

/// A plan is one function that is read from top to bottom, in place of a coroutine: g++ 12
/// miscompiles those. It has a member `int at_{0}` and the form
///
///     Step next(const Observation& seen) {
///       switch (at_) {
///         case 0:
///           YIELD(1, survey());
///           read(seen);
///           ...
///       }
///       return Done{};
///     }
///
/// What must outlive a YIELD is a member: no local variable may be in scope there. Each has a
/// number of its own within its function.
#define YIELD(number, step) \
  do {                      \
    at_ = (number);         \
    return step;            \
    case (number):;         \
  } while (false)
