// The steps of a sweep, and what HAProxy answers to them.
#include "wait_sweep.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "hold/resume_point.hpp"
#include "wait_mark.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t most_candidates = 32;
constexpr int most_looks = 50;
constexpr milliseconds look_pause{10};
/// Its owner looks no more often.
constexpr milliseconds owner_pause{100};
/// A mark is a day at least, and a line waits for `longest_wait_line` at most.
constexpr std::int64_t shortest_left_s = 3600;

std::optional<Error> error_in(const Answer& answer, std::size_t first) {
  if (answer.error) return answer.error;
  for (std::size_t i = first; i < answer.replies.size(); ++i) {
    const auto& refusal = answer.replies[i].refusal;
    if (refusal && refusal->code == Errc::permission_denied) return refusal;
  }
  return std::nullopt;
}

}  // namespace

WaitSweep::WaitSweep(const std::vector<std::string>& holds, Until until) : until_(until) {
  for (const std::string& id : holds) {
    const std::int64_t mark = wait_mark(id).count();
    if (std::find(marks_.begin(), marks_.end(), mark) == marks_.end()) marks_.push_back(mark);
  }
}

std::vector<Command> WaitSweep::next(const Answer* answer, milliseconds now) {
  now_ = now;
  switch (at_) {
    case 0:
      if (marks_.empty()) break;
      YIELD(1, {Command::show_streams()});
      if (!read_list(*answer)) break;
      began_ = asked_ = now;
      YIELD(2, examine());
      if (!read_details(*answer)) break;
      if (until_ == Until::found) break;
      while (is_left_to_owner() || is_old()) {
        asked_ = now;
        ++waited_;
        YIELD(5, look_again(owner_pause));
        if (all_gone(*answer)) break;
      }
      if (error_ || left().empty()) break;
      YIELD(3, end());
      while (!all_gone(*answer)) {
        if (++looks_ >= most_looks) break;
        YIELD(4, look_again(look_pause));
      }
  }
  at_ = -1;
  return {};
}

bool WaitSweep::is_left_to_owner() const {
  return until_ == Until::gone && (now_ - began_ < owner_patience || waited_ < patient_looks);
}

/// Whoever was frozen behind its question asks again.
bool WaitSweep::is_old() const { return now_ - asked_ > current_for; }

std::vector<std::string> WaitSweep::numbers() const {
  std::vector<std::string> numbers;
  for (const Line& line : found_) numbers.push_back(line.number);
  return numbers;
}

std::vector<std::string> WaitSweep::left() const {
  std::vector<std::string> pointers;
  for (const Line& line : found_) {
    if (until_ != Until::found && !line.gone) pointers.push_back(line.pointer);
  }
  return pointers;
}

/// False where there is nothing to examine.
bool WaitSweep::read_list(const Answer& answer) {
  error_ = error_in(answer, 0);
  if (error_) return false;
  if (answer.replies[0].refusal) {
    error_ = answer.replies[0].refusal;
    return false;
  }
  const auto streams = runtime_api::parse_streams(answer.replies[0].text);
  if (!streams) {
    error_ = streams.error();
    return false;
  }
  for (const runtime_api::Stream& stream : *streams) {
    if (stream.frontend != "GLOBAL" || stream.left_s.value_or(0) < shortest_left_s) continue;
    if (candidates_.size() < most_candidates) candidates_.push_back(stream.pointer);
  }
  return !candidates_.empty();
}

/// One that has gone since is a refusal, and none of ours.
bool WaitSweep::read_details(const Answer& answer) {
  error_ = error_in(answer, 0);
  if (error_) return false;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (answer.replies[i].refusal) continue;
    const auto details = runtime_api::parse_stream_details(answer.replies[i].text);
    if (!details || details->frontend != "GLOBAL") continue;
    if (std::find(marks_.begin(), marks_.end(), details->timeout_s) == marks_.end()) continue;
    found_.push_back({candidates_[i], details->number});
  }
  return !found_.empty();
}

/// The last replies are the details of those that were still there.
bool WaitSweep::all_gone(const Answer& answer) {
  error_ = error_in(answer, 0);
  if (error_) return true;
  const auto standing = static_cast<std::size_t>(
      std::count_if(found_.begin(), found_.end(), [](const Line& line) { return !line.gone; }));
  auto reply = answer.replies.end() - static_cast<std::ptrdiff_t>(standing);
  bool all = true;
  for (Line& line : found_) {
    if (line.gone) continue;
    const auto details = reply->refusal
                             ? std::nullopt
                             : std::optional(runtime_api::parse_stream_details(reply->text));
    ++reply;
    // Its address may have been given to another one since.
    line.gone = !details || !*details || (*details)->number != line.number;
    all = all && line.gone;
  }
  return all;
}

WaitSweep::Commands WaitSweep::examine() const {
  Commands commands;
  for (const std::string& pointer : candidates_) {
    commands.push_back(*Command::show_stream(pointer));
  }
  return commands;
}

WaitSweep::Commands WaitSweep::end() const {
  Commands commands;
  for (const Line& line : found_) {
    if (!line.gone) commands.push_back(*Command::shut_stream(line.pointer));
  }
  for (const Line& line : found_) {
    if (!line.gone) commands.push_back(*Command::show_stream(line.pointer));
  }
  return commands;
}

/// With several threads another one may have to end it.
WaitSweep::Commands WaitSweep::look_again(milliseconds behind) const {
  Commands commands{Command::wait(behind)};
  for (const Line& line : found_) {
    if (!line.gone) commands.push_back(*Command::show_stream(line.pointer));
  }
  return commands;
}

Batch WaitSweeps::begin(milliseconds now) {
  Batch batch;
  batch.phase = "looking for waiting releases";
  batch.uninterruptible = uninterruptible_;
  for (std::size_t i = 0; i < sweeps_.size(); ++i) {
    batch.work.push_back(sweeps_[i].next(nullptr, now));
    asked_[i] = !batch.work.back().empty();
  }
  return batch;
}

Batch WaitSweeps::next(const std::vector<Answer>& answers, milliseconds now) {
  Batch batch;
  batch.phase = "looking for waiting releases";
  batch.uninterruptible = uninterruptible_;
  for (std::size_t i = 0; i < sweeps_.size(); ++i) {
    auto& work = batch.work.emplace_back();
    if (asked_[i]) work = sweeps_[i].next(&answers[i], now);
    asked_[i] = !work.empty();
  }
  return batch;
}

}  // namespace stillgate::hold
