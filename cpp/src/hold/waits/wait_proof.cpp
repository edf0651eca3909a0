// The steps of a proof, and what follows from HAProxy's answers.
#include "wait_proof.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "hold/record/record_variable.hpp"
#include "hold/resume_point.hpp"
#include "runtime_api/streams.hpp"
#include "wait_mark.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds look_pause{5};
constexpr int most_looks = 100;
constexpr std::int64_t shortest_left_s = 3600;
constexpr std::size_t most_candidates = 32;
/// HAProxy's own waiting is asked for in pieces: each is answered long before a timeout of ours.
constexpr milliseconds piece{50};
constexpr milliseconds beyond{25};  ///< its end
constexpr milliseconds first_lasts{150};
constexpr int rtts = 6;  ///< from the line to its close: four, and what they differ by
constexpr int most_rounds = 3;
constexpr int longer = 5;  ///< in each further round

/// Each round has words of its own: a variable keeps what the last one set.
std::string running(milliseconds lasts) { return fmt::format("running{}", lasts.count()); }
std::string fired(milliseconds lasts) { return fmt::format("fired{}", lasts.count()); }

}  // namespace

WaitProof::WaitProof(std::string hold_id, milliseconds lasts)
    : id_(std::move(hold_id)), lasts_(lasts) {}

std::string WaitProof::variable() const { return "stillgate_wait_" + encode_name(id_); }

std::string WaitProof::line() const {
  return fmt::format(
      "experimental-mode on;set timeout cli {}s;set var proc.{} str({});wait {}ms;set var proc.{} "
      "str({});quit\n",
      wait_mark(id_).count(), variable(), running(lasts_), lasts_.count(), variable(),
      fired(lasts_));
}

void WaitProof::sent(milliseconds began, const std::optional<Error>& error) {
  began_ = began;
  if (error) fail("the line could not be sent: " + error->message);
}

void WaitProof::closed(milliseconds at) { closed_ = at; }

std::vector<Command> WaitProof::next(const Answer* answer) {
  switch (at_) {
    case 0:
      for (;;) {
        if (failed_) return {};
        YIELD(1, ask());
        if (!read(*answer)) return {};
        if (value_ == running(lasts_)) break;
        if (value_ == fired(lasts_)) {
          judge();
          return {};
        }
        if (++looks_ >= most_looks) {
          fail("the line did not begin to run");
          return {};
        }
      }
      YIELD(2, {Command::show_streams()});
      if (!read_list(*answer)) return {};
      YIELD(3, examine());
      if (!is_known(*answer)) return {};
      YIELD(4, Commands());
      YIELD(5, wait_and_ask());
      if (read(*answer)) judge();
      at_ = -1;
  }
  return {};
}

WaitProof::Commands WaitProof::ask() const {
  Commands commands;
  if (looks_ > 0) commands.push_back(Command::wait(look_pause));
  commands.push_back(*Command::get_variable(variable()));
  return commands;
}

/// By HAProxy's own clock the line has come to its end then: it began before this, and lasts
/// shorter.
WaitProof::Commands WaitProof::wait_and_ask() const {
  Commands commands;
  for (milliseconds waited{0}; waited < lasts_ + beyond; waited += piece) {
    commands.push_back(Command::wait(std::min(piece, lasts_ + beyond - waited)));
  }
  commands.push_back(*Command::get_variable(variable()));
  return commands;
}

WaitProof::Commands WaitProof::examine() const {
  Commands commands;
  for (const std::string& pointer : candidates_) {
    commands.push_back(*Command::show_stream(pointer));
  }
  return commands;
}

bool WaitProof::read(const Answer& answer) {
  if (answer.error) {
    fail("HAProxy did not answer: " + answer.error->message);
    return false;
  }
  value_ = value_in(answer.replies.back()).value_or("");
  return true;
}

bool WaitProof::read_list(const Answer& answer) {
  if (!read(answer)) return false;
  const auto streams = runtime_api::parse_streams(answer.replies[0].text);
  for (const runtime_api::Stream& stream :
       streams ? *streams : std::vector<runtime_api::Stream>()) {
    if (stream.frontend != "GLOBAL" || stream.left_s.value_or(0) < shortest_left_s) continue;
    if (candidates_.size() < most_candidates) candidates_.push_back(stream.pointer);
  }
  if (candidates_.empty()) fail("'show sess' does not show the line");
  return !candidates_.empty();
}

/// Whoever ends the hold from elsewhere must be able to find its line.
bool WaitProof::is_known(const Answer& answer) {
  if (!read(answer)) return false;
  for (const runtime_api::Reply& reply : answer.replies) {
    const auto details = runtime_api::parse_stream_details(reply.text);
    if (details && details->timeout_s == wait_mark(id_).count()) return true;
  }
  fail("'show sess' does not tell the line from others");
  return false;
}

void WaitProof::judge() {
  if (value_ == running(lasts_)) {
    proven_ = true;
    return;
  }
  open_ = closed_ == milliseconds(0) || closed_ - began_ >= lasts_;
  fail(open_ ? "the line could not be closed in time"
             : "when its connection is closed, the rest of the line runs at once or later, as "
               "through a relay");
}

void WaitProof::fail(std::string why) {
  failed_ = true;
  at_ = -1;
  why_ = std::move(why);
}

void WaitProofs::add(std::size_t place, std::string url) {
  proofs_.push_back({place, std::move(url), {}});
}

void WaitProofs::begin(std::size_t endpoints, std::string hold_id, milliseconds longest_rtt) {
  endpoints_ = endpoints;
  hold_id_ = std::move(hold_id);
  lasts_ = first_lasts + rtts * longest_rtt;
  for (Entry& entry : proofs_) entry.proof = WaitProof(hold_id_, lasts_);
}

step::ProveWaits WaitProofs::lines() const {
  step::ProveWaits lines;
  for (const Entry& entry : proofs_) lines.lines.emplace_back(entry.url, entry.proof.line());
  return lines;
}

void WaitProofs::told(const std::vector<std::pair<std::string, Error>>& failures,
                      milliseconds began) {
  for (Entry& entry : proofs_) {
    const auto failed = std::find_if(failures.begin(), failures.end(),
                                     [&](const auto& one) { return one.first == entry.url; });
    entry.proof.sent(began,
                     failed == failures.end() ? std::nullopt : std::optional(failed->second));
  }
}

void WaitProofs::closed(milliseconds at) {
  for (Entry& entry : proofs_) entry.proof.closed(at);
}

Batch WaitProofs::next(const std::vector<Answer>* answers) {
  Batch batch;
  batch.phase = "proving the release that waits";
  batch.work.resize(endpoints_);
  for (Entry& entry : proofs_) {
    const Answer* answer = answers != nullptr && entry.asked ? &(*answers)[entry.place] : nullptr;
    auto& work = batch.work[entry.place];
    if (answers == nullptr || entry.asked) work = entry.proof.next(answer);
    entry.asked = !work.empty();
  }
  return batch;
}

void WaitProofs::end_round() {
  ++rounds_;
  lasts_ *= longer;
  std::vector<Entry> again;
  for (Entry& entry : proofs_) {
    if (entry.proof.proven()) {
      proven_.push_back(entry.place);
    } else if (entry.proof.is_open() && rounds_ < most_rounds) {
      again.push_back({entry.place, entry.url, WaitProof(hold_id_, lasts_)});
    } else {
      unproven_.emplace_back(entry.place, entry.proof.why());
    }
  }
  proofs_ = std::move(again);
}

bool WaitProofs::proven(std::size_t place) const {
  return std::find(proven_.begin(), proven_.end(), place) != proven_.end();
}

std::string WaitProofs::why(std::size_t place) const {
  const auto found = std::find_if(unproven_.begin(), unproven_.end(),
                                  [place](const auto& one) { return one.first == place; });
  return found == unproven_.end() ? "" : found->second;
}

}  // namespace stillgate::hold
