// A plan: the procedure as a state machine. It gets what happened and returns what to do next.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/event.hpp>
#include <stillgate/report.hpp>

#include "hold/record/cutover_record.hpp"
#include "hold/record/record.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

namespace step {
/// Keep this record; one without switches is removed.
struct WriteJournal {
  Record record;
};
/// Keep what stood before a cutover; without rows, nothing of that name is kept any more.
struct KeepCutover {
  CutoverRecord record;
};
struct Wait {
  std::chrono::milliseconds time{0};
};
/// Start the process that keeps these switches held, and ends that at the record's deadline.
struct StartGuard {
  Record record;
};
/// Start a process that sends each of these lines to its endpoint, on a connection of its own, and
/// keeps them open.
struct ProveWaits {
  std::vector<std::pair<std::string, std::string>> lines;  ///< URL, line
};
/// Kill that process.
struct EndProof {};
struct TellGuard {
  enum class Word {
    hold,   ///< the hold is in effect
    leave,  ///< nothing is held
    end,    ///< something may still be held: continue to release it
  };
  Word word{};
};
struct Done {
  Report report;
};
}  // namespace step
using Step =
    std::variant<runtime_api::Batch, step::WriteJournal, step::KeepCutover, step::Wait,
                 step::ProveWaits, step::EndProof, step::StartGuard, step::TellGuard, step::Done>;

namespace observed {
struct Begin {};
struct Answers {  ///< to a Batch; one per endpoint
  std::vector<runtime_api::Answer> answers;
};
struct Journaled {  ///< to a WriteJournal or a KeepCutover
  std::optional<Error> error;
};
struct Tick {};   ///< to a Wait that is over, or an EndProof
struct Proving {  ///< to a ProveWaits: every line was sent, or could not be
  std::vector<std::pair<std::string, Error>> failures;  ///< by URL
};
struct Guarded {               ///< to a StartGuard or a TellGuard
  std::optional<Error> error;  ///< its `field` is the endpoint that it is about, if any
  std::vector<std::string>
      backed;  ///< to a StartGuard: endpoints where HAProxy's `wait` is its backup
};
}  // namespace observed
using What = std::variant<observed::Begin, observed::Answers, observed::Journaled, observed::Tick,
                          observed::Proving, observed::Guarded>;

struct Observation {
  What what;
  std::chrono::milliseconds elapsed{0};  ///< since the call began, on the steady clock
  WallTime now;
  bool cancelled{false};  ///< the caller wants it to end; stays true once it was
};

/// Of a Batch.
[[nodiscard]] inline const std::vector<runtime_api::Answer>& answers_of(
    const Observation& observation) {
  return std::get<observed::Answers>(observation.what).answers;
}

/// Each step is carried out and answered before the next is asked for; after Done nothing is.
class Plan {
 public:
  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  virtual ~Plan() = default;

  virtual Step next(const Observation& observation) = 0;

  /// The events so far, to be reported before the next step is carried out.
  [[nodiscard]] std::vector<Event> take_events() { return std::exchange(events_, {}); }

 protected:
  std::vector<Event> events_;
};

}  // namespace stillgate::hold
