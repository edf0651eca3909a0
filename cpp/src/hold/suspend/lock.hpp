// The lock: of two who would hold the same frontend at the same moment, one gets it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hold/record/lock_variables.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// First on one HAProxy, which is the same one for everybody, one frontend after the other by name:
/// whoever loses there has lost, and nobody ends up with a part. Then on all the others at once.
/// Each look also tells whether a hold has begun since the check. An HAProxy below 2.6 has no
/// compare and set: there that look, and the record that is read back, are all there is.
class Lock {
 public:
  /// A chain that is longer cannot be followed: each hold adds one to it, and the hint is its end.
  static constexpr int most_steps = 1000;

  /// `record` with its switches, and `seen`, from begin() on; `known`: holds that the journal
  /// knows. All must outlive it.
  Lock(const HoldRequest& request, const Record& record, const std::vector<Seen>& seen,
       const std::vector<Record>& known);

  /// Error: bad_command, where the record is too long for one line.
  [[nodiscard]] std::optional<Error> begin(WallTime now);
  /// What to do next; nothing once it is taken everywhere.
  [[nodiscard]] std::optional<runtime_api::Batch> next();
  void read(const std::vector<runtime_api::Answer>& answers, WallTime now);

  /// It was lost, or could not be taken: then it is told in the report, and to be freed.
  [[nodiscard]] bool failed() const;
  void tell(Report& report) const;

  /// Writes, for those who come later, who had the lock last at that endpoint.
  [[nodiscard]] std::vector<runtime_api::Command> hints(std::size_t endpoint) const;
  /// Frees what may have been taken of that switch.
  [[nodiscard]] std::vector<runtime_api::Command> free(std::size_t index, WallTime now) const;

 private:
  enum class State {
    asking,     ///< whether the last one has it still
    following,  ///< he has not: we come next
    done,
    failed
  };

  struct Slot {
    bool locks{false};
    State state{State::asking};
    LockHolder last{};      ///< whoever came last, as far as is known
    std::string value{};    ///< ours
    bool ours{false};       ///< read back
    bool uncertain{false};  ///< it was asked for, and the answer never came
    int steps{0};
    std::optional<Error> error{};
    std::optional<Record> holder{};  ///< the hold in the way
    std::optional<std::string> hold_id{};
  };

  void order();
  [[nodiscard]] std::vector<std::size_t> asked() const;
  [[nodiscard]] std::vector<runtime_api::Command> commands_for(std::size_t index) const;
  void read_slot(std::size_t index, std::span<const runtime_api::Reply> replies, WallTime now);
  void look_again(std::size_t endpoint, const Seen& now);
  static void fail(Slot& slot, Error error);

  const HoldRequest& request_;
  const Record& record_;
  const std::vector<Seen>& seen_;
  const std::vector<Record>& known_;
  std::vector<Slot> slots_;                       ///< per switch
  std::vector<std::vector<std::size_t>> groups_;  ///< of switches, each taken in one go
  std::size_t group_{0};
};

}  // namespace stillgate::hold
