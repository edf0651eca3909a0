// Finding the releases that wait in HAProxy for certain holds, and ending them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <stillgate/error.hpp>

#include "runtime_api/batch.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {

/// One HAProxy's, from 3.0 on. `shutdown session` ends a connection of the stats socket in the
/// middle of its `wait`, and what stands behind it does not run; by whatever way its owner is
/// connected, and whether that one is frozen or gone (docs/haproxy-facts.md, section 5). How a
/// connection closes decides nothing then.
///
/// It takes an address in HAProxy's memory, and that of a line that has ended is the next client's
/// at once: a line that two end at the same time costs that client its answer. So it is settled who
/// ends a line (docs/guard.md), and whoever is not sure leaves it to the other for a while first.
class WaitSweep {
 public:
  enum class Until {
    found,  ///< only looks
    ended,  ///< ends them at once: nobody else does
    gone,   ///< leaves them to their owner for `owner_patience`, and ends them then
  };

  /// Whoever takes longer to end its own is frozen, dead or cut off.
  static constexpr std::chrono::milliseconds owner_patience{2000};
  /// The slower HAProxy answers, the slower its owner is.
  static constexpr int patient_looks{10};
  /// A line that is due so soon may fire, and end by itself, at any moment.
  static constexpr std::chrono::milliseconds before_it_fires{200};
  /// Older than that, the address of a line may be somebody else's.
  static constexpr std::chrono::milliseconds current_for{500};

  WaitSweep() = default;
  /// `holds`: the ids of those whose lines are looked for.
  explicit WaitSweep(const std::vector<std::string>& holds, Until until = Until::ended);

  /// What to ask next; nothing when it is done. `answer`: to what was asked, else nullptr. `now`:
  /// on a clock that is never stepped, and runs on while the machine sleeps.
  std::vector<runtime_api::Command> next(const runtime_api::Answer* answer,
                                         std::chrono::milliseconds now);
  /// Their numbers, which no other connection of the process ever has.
  [[nodiscard]] std::vector<std::string> numbers() const;
  /// As HAProxy calls them (`0x7f...`): those that are still there, though it was told to end them.
  [[nodiscard]] std::vector<std::string> left() const;
  /// Why it is not known whether there are any, or whether they are gone.
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  using Commands = std::vector<runtime_api::Command>;

  bool read_list(const runtime_api::Answer& answer);
  bool read_details(const runtime_api::Answer& answer);
  bool all_gone(const runtime_api::Answer& answer);
  [[nodiscard]] Commands examine() const;
  [[nodiscard]] Commands end() const;
  [[nodiscard]] Commands look_again(std::chrono::milliseconds behind) const;
  [[nodiscard]] bool is_left_to_owner() const;
  [[nodiscard]] bool is_old() const;

  /// What HAProxy calls a connection, and its number, which no other one gets.
  struct Line {
    std::string pointer;
    std::string number;
    bool gone{false};
  };

  int at_{0};
  std::vector<std::int64_t> marks_;
  Until until_{Until::ended};
  std::vector<std::string> candidates_;
  std::vector<Line> found_;
  int waited_{0};
  int looks_{0};
  std::chrono::milliseconds began_{0};
  std::chrono::milliseconds asked_{0};
  std::chrono::milliseconds now_{0};
  std::optional<Error> error_;
};

/// Those of several HAProxies, side by side: one per endpoint, in the order of the plan.
class WaitSweeps {
 public:
  explicit WaitSweeps(std::size_t endpoints = 0, bool uninterruptible = false)
      : sweeps_(endpoints), asked_(endpoints, false), uninterruptible_(uninterruptible) {}

  void set(std::size_t endpoint, WaitSweep sweep) { sweeps_[endpoint] = std::move(sweep); }
  [[nodiscard]] WaitSweep& operator[](std::size_t endpoint) { return sweeps_[endpoint]; }

  /// The first batch: one without commands where there is nothing to sweep.
  [[nodiscard]] runtime_api::Batch begin(std::chrono::milliseconds now);
  [[nodiscard]] runtime_api::Batch next(const std::vector<runtime_api::Answer>& answers,
                                        std::chrono::milliseconds now);

 private:
  std::vector<WaitSweep> sweeps_;
  std::vector<bool> asked_;
  bool uninterruptible_{false};
};

}  // namespace stillgate::hold
