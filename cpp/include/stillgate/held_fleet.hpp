// A hold as an object: while it lives all is held, and at its end all is released.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/fleet.hpp>
#include <stillgate/options.hpp>
#include <stillgate/report.hpp>

namespace [[gnu::visibility("default")]] stillgate {

/// Made by Fleet::hold. It ends its own hold by its id: what somebody else has held meanwhile it
/// leaves alone. It is a call of its Fleet, which may be moved or gone: one at a time.
class [[nodiscard]] HeldFleet {
 public:
  HeldFleet(HeldFleet&&) noexcept;
  HeldFleet& operator=(HeldFleet&&) noexcept;
  /// Releases what is held, also while an exception is on its way. Whoever has to know what became
  /// of it calls release(): where this one fails, the gate or the guard ends the hold.
  ~HeldFleet();

  /// Whether suspend held, or failed and left a hold behind (still_held), and release() was not
  /// called. Its deadline may have ended it since.
  [[nodiscard]] bool held() const noexcept;
  /// What suspend returned: where it could not hold, why.
  [[nodiscard]] const Report& report() const noexcept;
  /// Resumes it. Only a report that is ok() says that the hold stood until now: `Ending::too_late`,
  /// if it was over before. Where it fails for want of an endpoint, it may be called again. Errors:
  /// those of resume; bad_option, if nothing was held.
  Result<Report> release(ResumeOptions options = {}, const std::stop_token& stop = {});

 private:
  friend class Fleet;
  struct [[gnu::visibility("hidden")]] State;
  explicit HeldFleet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
