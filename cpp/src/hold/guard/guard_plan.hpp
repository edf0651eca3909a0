// The guard's plan for one endpoint: keeps a hold by maxconn in effect there, and ends it in time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <stillgate/info.hpp>

#include "hold/record/record.hpp"
#include "hold/record/record_variable.hpp"
#include "mode.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// What is true of the hold as a whole, as the guard knows it just now.
struct KeepOutlook {
  GuardMode mode{GuardMode::arming};
  /// Both on one clock that nobody steps and that goes on while the machine sleeps.
  std::chrono::milliseconds now{0};
  std::chrono::milliseconds deadline{0};
  WallTime wall;     ///< for the marks that are left in HAProxy alone
  bool over{false};  ///< somebody resumed it elsewhere: nothing is put back any more
  /// The holds that this machine knows of just now: the answer to a Consult, else nullptr.
  const std::vector<Record>* journal{nullptr};
};

/// Something that people want to know.
struct KeepNotice {
  enum class Kind { reapplied, lost, found, resumed, released, gone };
  Kind kind{};
  std::string frontend;  ///< empty: of the whole endpoint
  std::string message;
};

namespace keep {
/// Send this; `fresh`: on a new connection, because the kept one may lead to an old worker.
struct Ask {
  std::vector<runtime_api::Command> commands;
  bool fresh{false};
  bool release{false};  ///< worth waiting for beyond the deadline
};
/// Nothing to do until then, unless the outlook changes.
struct Rest {
  std::chrono::milliseconds until{0};
};
/// What the journal says is needed before the next step.
struct Consult {};
/// All is done here.
struct Leave {};
}  // namespace keep

class KeepPlan {
 public:
  using Step = std::variant<keep::Ask, keep::Rest, keep::Consult, keep::Leave>;

  static constexpr std::chrono::milliseconds pause{100};  ///< between two looks
  /// What the guard itself opened is looked at for so long: a commit that was under way may come
  /// late. Longer where an answer of its own was lost; and to the deadline where the suspend failed
  /// or died, because nobody knows what became of its commit.
  static constexpr std::chrono::milliseconds quiet{400};
  static constexpr std::chrono::milliseconds quiet_after_loss{2000};
  /// An HAProxy that is not there for so long after the deadline has nothing left to release.
  static constexpr std::chrono::milliseconds gone_after{3000};
  /// And one that is there and does not answer is given up.
  static constexpr std::chrono::milliseconds given_up_after{3'600'000};

  /// `record`: with its switches at that endpoint alone.
  KeepPlan(std::string endpoint, Record record);

  /// `answer`: to the last Ask, else nullptr.
  Step next(const KeepOutlook& outlook, const runtime_api::Answer* answer);

  /// The first look has come to its end; the error of one that failed.
  [[nodiscard]] bool looked() const noexcept { return looked_; }
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  /// A later deadline than the record's, that somebody wrote into the HAProxy.
  [[nodiscard]] std::optional<WallTime> extended() const noexcept { return extended_; }
  /// Something is held here, or may be, as far as is known.
  [[nodiscard]] bool holds() const { return any_kept(); }
  /// Somebody resumed it here.
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }
  /// The HAProxy process that serves, once it is known, and its release.
  [[nodiscard]] std::int64_t process() const noexcept { return known_ ? known_->pid : 0; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }
  /// HAProxy's own `wait` stands behind it now, or does not: so a hold that is put back has it on
  /// record.
  void set_backed(bool backed);
  /// What it holds now, with the limits to restore: a reload may have changed them.
  [[nodiscard]] const Record& record() const noexcept { return record_; }
  [[nodiscard]] std::vector<KeepNotice> take_notices();

 private:
  enum class Stage { resting, looking, consulting, putting_back, poised, releasing, clearing };
  enum class State {
    kept,      ///< ours, as far as is known
    released,  ///< by the guard
    resumed,   ///< by somebody else, or gone
  };
  struct Kept {
    State state{State::kept};
    bool reapplied{false};
    bool recorded{false};  ///< our record stood in the HAProxy at the last look
    bool locked{false};    ///< the lock there was ours
    bool cleared{false};   ///< and both were taken back
    std::optional<std::int64_t> limit{};
  };
  struct Process {
    std::int64_t pid{0};
    std::int64_t uptime_s{0};
  };
  /// One look.
  struct Sight {
    Info info;
    std::vector<std::optional<std::int64_t>> limits;
    std::vector<Remembered> remembered;
    std::vector<bool> locked;
  };

  Step look();
  Step read(const KeepOutlook& outlook, const runtime_api::Answer& answer);
  Step failed(const KeepOutlook& outlook, const Error& error);
  Step weigh(const KeepOutlook& outlook, const Sight& sight);
  void weigh_one(const KeepOutlook& outlook, const Sight& sight, std::size_t index);
  Step consulted(const KeepOutlook& outlook);
  Step act(const KeepOutlook& outlook);
  [[nodiscard]] bool is_doubtful(const KeepOutlook& outlook, std::size_t index) const;
  [[nodiscard]] bool is_taken(const KeepOutlook& outlook, std::size_t index) const;
  [[nodiscard]] bool is_ours(const Sight& sight, std::size_t index) const;
  [[nodiscard]] bool is_new(const Sight& sight, std::size_t index) const;
  Step put_back();
  Step release(const KeepOutlook& outlook);
  Step clear(const KeepOutlook& outlook);
  Step rest(const KeepOutlook& outlook);
  Step rest_or_leave(const KeepOutlook& outlook);
  [[nodiscard]] bool any_kept() const;
  [[nodiscard]] bool watching(const KeepOutlook& outlook) const;
  [[nodiscard]] bool to_clear(const Kept& one, const KeepOutlook& outlook) const;
  [[nodiscard]] std::optional<Sight> sight_in(const runtime_api::Answer& answer,
                                              std::optional<Error>& error) const;
  [[nodiscard]] bool ending(const KeepOutlook& outlook) const;
  /// A look so long before the deadline is the last one before the release.
  [[nodiscard]] std::chrono::milliseconds lead() const;
  void give_up(std::size_t index, KeepNotice::Kind kind, std::string message);
  void notice(KeepNotice::Kind kind, std::size_t index, std::string message);

  std::string endpoint_;
  Record record_;
  std::vector<Kept> kept_;
  Stage stage_{Stage::resting};
  bool looked_{false};
  bool fresh_{false};  ///< the next look needs a new connection
  std::optional<Error> error_;
  std::optional<Process> known_;  ///< that holds
  std::string version_;
  bool asked_fresh_{false};
  std::vector<std::size_t> bare_;  ///< of a new process: switches that are to be put back
  std::vector<std::size_t> due_;   ///< held, and to be released now
  std::optional<std::chrono::milliseconds> lost_at_;
  bool lost_told_{false};
  bool write_lost_{false};
  bool remembers_{false};                                ///< the HAProxy has variables
  std::optional<std::chrono::milliseconds> opened_at_;   ///< by the guard
  std::optional<std::chrono::milliseconds> resumed_at_;  ///< by somebody else
  std::optional<WallTime> released_at_;                  ///< or first seen open while it ends
  std::chrono::milliseconds rtt_{1};
  std::optional<WallTime> extended_;
  bool resumed_{false};
  std::vector<KeepNotice> notices_;
};

}  // namespace stillgate::hold
