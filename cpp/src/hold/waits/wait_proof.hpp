// Proving that a release may wait at an HAProxy: that a line runs there, is known as ours, and ends
// with its connection.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <stillgate/error.hpp>

#include "hold/plan.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// One HAProxy's. A harmless line goes the way that the guard's line will go, from a process of its
/// own, and that is killed: so the connection closes as if the guard were killed. What the line
/// sets behind its `wait` must not be set then. Behind a relay it is: a relay passes a close on as
/// a half-close, and 3.2 runs the rest of the line at once (docs/haproxy-facts.md, section 5).
class WaitProof {
 public:
  WaitProof() = default;
  /// `lasts`: so long the line waits. It should be closed before.
  WaitProof(std::string hold_id, std::chrono::milliseconds lasts);

  [[nodiscard]] std::string line() const;

  /// The line was sent, at the earliest at that time of the call; or could not be.
  void sent(std::chrono::milliseconds began, const std::optional<Error>& error);
  /// Its process is dead, at that time at the latest.
  void closed(std::chrono::milliseconds at);
  /// What to ask next; nothing when it has come as far as it can: to the close, or to its end.
  std::vector<runtime_api::Command> next(const runtime_api::Answer* answer);

  [[nodiscard]] bool proven() const noexcept { return proven_; }
  /// It fired, but perhaps by its time, because the close came too late: to be tried again with a
  /// longer one.
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  /// Why it is not proven.
  [[nodiscard]] const std::string& why() const noexcept { return why_; }

 private:
  using Commands = std::vector<runtime_api::Command>;

  [[nodiscard]] std::string variable() const;
  [[nodiscard]] Commands ask() const;
  [[nodiscard]] Commands examine() const;
  [[nodiscard]] Commands wait_and_ask() const;
  bool read(const runtime_api::Answer& answer);
  bool read_list(const runtime_api::Answer& answer);
  bool is_known(const runtime_api::Answer& answer);
  void judge();
  void fail(std::string why);

  int at_{0};
  std::string id_;
  std::chrono::milliseconds lasts_{0};
  std::chrono::milliseconds began_{0};
  std::chrono::milliseconds closed_{0};
  std::string value_;
  std::vector<std::string> candidates_;
  int looks_{0};
  bool failed_{false};
  bool proven_{false};
  bool open_{false};
  std::string why_;
};

/// Those of all HAProxies of a hold, side by side: the lines share one process.
class WaitProofs {
 public:
  /// Where it is to be proven: by place in the plan, with its URL.
  void add(std::size_t place, std::string url);
  void begin(std::size_t endpoints, std::string hold_id, std::chrono::milliseconds longest_rtt);

  /// Another round is to be made: lines() are sent, told(), asked, killed, closed(), asked.
  [[nodiscard]] bool wants_round() const noexcept { return !proofs_.empty(); }
  [[nodiscard]] step::ProveWaits lines() const;
  void told(const std::vector<std::pair<std::string, Error>>& failures,
            std::chrono::milliseconds began);
  void closed(std::chrono::milliseconds at);
  [[nodiscard]] runtime_api::Batch next(const std::vector<runtime_api::Answer>* answers);
  /// What is not known yet is tried again, with more time, and given up in the end.
  void end_round();

  [[nodiscard]] bool proven(std::size_t place) const;
  /// Why it is not; empty where it is, or was not to be proven.
  [[nodiscard]] std::string why(std::size_t place) const;

 private:
  struct Entry {
    std::size_t place;
    std::string url;
    WaitProof proof;
    bool asked{false};
  };
  std::vector<Entry> proofs_;  ///< of this round
  std::vector<std::size_t> proven_;
  std::vector<std::pair<std::size_t, std::string>> unproven_;
  std::size_t endpoints_{0};
  std::string hold_id_;
  std::chrono::milliseconds lasts_{0};
  int rounds_{0};
};

}  // namespace stillgate::hold
