// How far the suspend has come, as its guard knows it.
#pragma once

namespace stillgate::hold {

enum class GuardMode {
  arming,   ///< the suspend is running: nothing is applied again; if it dies, all is rolled back
  holding,  ///< until the deadline
  ending,   ///< at once: the suspend died or failed, or the guard must end the hold
};

}  // namespace stillgate::hold
