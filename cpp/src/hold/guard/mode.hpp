// How far the suspend has come, as its guard knows it.
#pragma once

namespace stillgate::hold {

enum class GuardMode {
  arming,   ///< the suspend goes on: nothing is put back; if it dies, all is rolled back
  holding,  ///< until the deadline
  ending,   ///< at once: the suspend died or failed, or the guard was told to end the hold
};

}  // namespace stillgate::hold
