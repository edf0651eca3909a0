// The course of a cutover, from its proof to done. Its parts decide; only next() knows their order.
#include "cutover_plan.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "hold/resume_point.hpp"
#include "hold/rows.hpp"
#include "reading.hpp"

namespace stillgate::hold {

using runtime_api::Batch;
using std::chrono::milliseconds;

namespace {

bool stands(const ChangeAtEndpoint& change) { return change.now == change.row.after; }

/// It was sent, and what stood before is not read back.
bool must_go_back(const ChangeAtEndpoint& change) {
  return change.written > 0 && change.first && change.now != change.first;
}

template <class Test>
bool any_change(const CutRows& rows, const Test& test) {
  return std::ranges::any_of(
      rows, [&test](const CutEndpoint& one) { return std::ranges::any_of(one.changes, test); });
}

ChangeState state_of(const ChangeAtEndpoint& change) {
  if (change.written == 0) return ChangeState::unchanged;
  if (!change.now) return ChangeState::unknown;
  if (stands(change)) return ChangeState::applied;
  return change.now == change.first ? ChangeState::undone : ChangeState::unknown;
}

}  // namespace

CutoverPlan::CutoverPlan(Request request) : request_(std::move(request)) {
  report_.action = "cutover";
  rows_ = rows_of(request_);
  // Before anybody has answered: who never does must not take the time of the undo.
  for (const Record& record : request_.records) {
    const bool is_this = !request_.claim.hold.empty() && record.id == request_.claim.hold;
    if (is_this && record.deadline) end_before(*record.deadline);
  }
}

Step CutoverPlan::next(const Observation& observation) {
  switch (at_) {
    case 0:
      for (;;) {
        YIELD(1, look(observation, false));
        read(observation);
        if (!refuse(observation)) break;
        if (!may_wait_for_check(observation)) return done();
        YIELD(10, step::Wait{retry_pause});
      }
      if (request_.dry_run) {
        if (refuse_late(observation)) return done();
        state_ = CutoverState::possible;
        return done();
      }
      if (!all_stand()) {
        if (refuse_late(observation)) return done();
        // Going back, what stood before stays on record until it stands again.
        if (!request_.back) {
          YIELD(2, step::KeepCutover{record()});
          if (!confirm_record(observation)) return done();
        }
        for (;;) {
          YIELD(3, write(observation));
          read_written(observation);
          YIELD(4, look(observation, false));
          read(observation);
          if (all_stand() || must_undo(observation)) break;
          YIELD(5, step::Wait{retry_pause});
        }
      }
      if (!all_stand()) {
        begin_undo(observation);
        for (;;) {
          if (asks(write_back(observation))) YIELD(6, write_back(observation));
          YIELD(7, look(observation, true));
          read(observation);
          if (!undo_again(observation)) break;
          YIELD(8, step::Wait{retry_pause});
        }
      }
      tell();
      if (is_record_over()) {
        YIELD(9, step::KeepCutover{record_behind()});
        note_record(observation);
      }
  }
  return done();
}

/// Always on new connections: a kept one may lead to the old worker of a reload.
Batch CutoverPlan::look(const Observation& observation, bool is_undoing) const {
  Batch batch;
  if (written_) {
    batch.within = left(observation, is_undoing ? milliseconds(0) : time_needed() / 2);
  } else if (deadline_) {
    // Whoever is well answers in that time, so that it is known to be too late.
    batch.within =
        std::max(left(observation, milliseconds(0)).value_or(least_time), least_time / 2);
  }
  batch.phase = written_ ? "verifying" : "checking";
  batch.uninterruptible = is_undoing;
  batch.fresh = written_;
  for (const CutEndpoint& endpoint : rows_) {
    batch.work.push_back(reading::commands(endpoint, request_));
  }
  return batch;
}

/// Whatever does not stand yet, everywhere at the same instant.
Batch CutoverPlan::write(const Observation& observation) {
  Batch batch;
  batch.within = left(observation, time_needed() / 2);
  batch.phase = "cutting over";
  batch.barrier = true;
  for (const CutEndpoint& endpoint : rows_) {
    auto& work = batch.work.emplace_back();
    for (const ChangeAtEndpoint& change : endpoint.changes) {
      if (!stands(change)) work.push_back(*command_of(change.row, change.row.after));
    }
  }
  return batch;
}

/// In the opposite order: what stood before serves before anything ends.
Batch CutoverPlan::write_back(const Observation& observation) const {
  Batch batch;
  // The other half is for reading it back.
  batch.within = left(observation, milliseconds(0));
  if (batch.within) *batch.within /= 2;
  batch.phase = "undoing the cutover";
  batch.uninterruptible = true;
  for (const CutEndpoint& endpoint : rows_) {
    auto& work = batch.work.emplace_back();
    // No std::views::reverse: clang 14 cannot read that of libstdc++ 12.
    std::for_each(endpoint.changes.rbegin(), endpoint.changes.rend(),
                  [&](const ChangeAtEndpoint& change) {
                    if (must_go_back(change)) {
                      work.push_back(*command_of(change.row, *change.first));
                    }
                  });
  }
  return batch;
}

/// What was put there by this cutover before is not what stood before it.
CutoverRecord CutoverPlan::record() const {
  CutoverRecord record{request_.name, {}};
  for (const CutEndpoint& endpoint : rows_) {
    for (const ChangeAtEndpoint& change : endpoint.changes) {
      CutoverRow row = change.row;
      row.before = *change.first;
      for (const CutoverRow& known : request_.known) {
        if (known.same_place(row) && known.after == row.before) row.before = known.before;
      }
      record.rows.push_back(std::move(row));
    }
  }
  // Of HAProxies that are not asked now.
  for (const CutoverRow& known : request_.known) {
    const bool is_told = std::ranges::any_of(
        record.rows, [&known](const CutoverRow& row) { return row.endpoint == known.endpoint; });
    if (!is_told) record.rows.push_back(known);
  }
  return record;
}

void CutoverPlan::read(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < rows_.size(); ++i) reading::read(rows_[i], request_, answers[i]);
}

bool CutoverPlan::refuse(const Observation& observation) {
  if (observation.cancelled) {
    report_.ending = Ending::cancelled;
    return true;
  }
  proof_ = proof::refuse(rows_, request_, report_, observation.now);
  find_deadline();
  return report_.ending != Ending::done;
}

/// Only a check that has not finished yet is in its way.
bool CutoverPlan::may_wait_for_check(const Observation& observation) const {
  if (!proof_.awaits_check || observation.cancelled) return false;
  const bool late = deadline_ && observation.now + retry_pause + time_needed() >= *deadline_;
  return !late && observation.elapsed + retry_pause < request_.check_for;
}

void CutoverPlan::find_deadline() {
  deadline_.reset();
  holds_.clear();
  for (const CutEndpoint& endpoint : rows_) {
    for (std::size_t i = 0; i < request_.frontends.size(); ++i) {
      const Record* record = record_of(endpoint.standing.seen, i, endpoint.url,
                                       request_.frontends[i], request_.records);
      if (record == nullptr) continue;
      holds_.insert(record->id);
      if (record->deadline) end_before(*record->deadline);
    }
  }
}

std::string CutoverPlan::hold_id() const { return holds_.size() == 1 ? *holds_.begin() : ""; }

std::optional<WallTime> CutoverPlan::hold_deadline() const {
  return deadline_ ? std::optional(*deadline_ + request_.keep) : std::nullopt;
}

void CutoverPlan::end_before(WallTime deadline) {
  const WallTime until = deadline - request_.keep;
  deadline_ = std::min(deadline_.value_or(until), until);
}

/// Of the hold, beside what is kept of it. Nothing where it has ended: there is nothing to be in
/// time for any more, as where this process was stopped, and what stands has to be known.
std::optional<milliseconds> CutoverPlan::left(const Observation& observation,
                                              milliseconds kept) const {
  if (!deadline_ || observation.now >= *deadline_ + request_.keep) return std::nullopt;
  const auto until = std::chrono::floor<milliseconds>(*deadline_ - kept - observation.now);
  return std::max(until, milliseconds(2));
}

milliseconds CutoverPlan::time_needed() const {
  double longest = 0;
  for (const CutEndpoint& endpoint : rows_) {
    longest = std::max(longest, endpoint.standing.seen.rtt_ms.value_or(0));
  }
  return least_time + milliseconds(static_cast<std::int64_t>(longest)) * least_round_trips;
}

bool CutoverPlan::refuse_late(const Observation& observation) {
  if (!deadline_) return false;
  const auto left = std::chrono::floor<milliseconds>(*deadline_ - observation.now);
  if (left >= std::max(time_needed(), request_.enough)) return false;
  report_.ending = Ending::refused;
  report_.error = Error{
      Errc::cutover_too_late,
      fmt::format(
          "the hold has {} ms left for the cutover{}, which needs {} ms; nothing was "
          "changed; hold longer (--max-hold), or extend",
          std::max<std::int64_t>(left.count(), 0),
          request_.keep.count() > 0
              ? fmt::format(" ({} ms are kept for the undo of the command)", request_.keep.count())
              : "",
          time_needed().count())};
  return true;
}

bool CutoverPlan::confirm_record(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (!error && !observation.cancelled) return true;
  report_.ending = error ? Ending::refused : Ending::cancelled;
  report_.error = error;
  return false;
}

/// Whatever came of a write: what is read back decides. HAProxy's own refusal would come again.
void CutoverPlan::read_written(const Observation& observation) {
  written_ = true;
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!answers[i].sent) continue;
    std::size_t reply = 0;
    for (ChangeAtEndpoint& change : rows_[i].changes) {
      if (stands(change)) continue;
      ++change.written;
      if (answers[i].error || reply >= answers[i].replies.size()) continue;
      change.refusal = answers[i].replies[reply++].refusal;
    }
  }
}

bool CutoverPlan::all_stand() const {
  return !any_change(rows_, [](const ChangeAtEndpoint& change) { return !stands(change); });
}

/// Half of what was left for it is kept for the undoing.
bool CutoverPlan::is_time_over(const Observation& observation) const {
  const bool late = deadline_ && observation.now + time_needed() / 2 >= *deadline_;
  return late || observation.elapsed + retry_pause >= request_.retry_for;
}

bool CutoverPlan::must_undo(const Observation& observation) {
  const bool refused = any_change(rows_, [](const ChangeAtEndpoint& change) {
    return change.refusal && reading::is_final(*change.refusal) && !stands(change);
  });
  return refused || observation.cancelled || is_time_over(observation);
}

void CutoverPlan::begin_undo(const Observation& observation) {
  undo_began_ = observation.elapsed;
  report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
  report_.error = why_undone();
}

/// Behind a hold until it ends: nothing of it is released before.
bool CutoverPlan::undo_again(const Observation& observation) {
  if (!any_change(rows_, must_go_back)) return false;
  if (deadline_) return observation.now + retry_pause < *deadline_;
  return observation.elapsed - undo_began_ + retry_pause < request_.retry_for;
}

/// The first reason, with HAProxy's own words.
Error CutoverPlan::why_undone() const {
  for (const CutEndpoint& endpoint : rows_) {
    for (const ChangeAtEndpoint& change : endpoint.changes) {
      if (!change.refusal || stands(change)) continue;
      return {Errc::cutover_undone,
              fmt::format("{}, {}: {}", endpoint.url, what(change.row), change.refusal->message),
              change.refusal->haproxy};
    }
  }
  for (const CutEndpoint& endpoint : rows_) {
    if (!endpoint.error) continue;
    return {Errc::cutover_undone, fmt::format("{}: {}", endpoint.url, endpoint.error->message),
            endpoint.error->haproxy};
  }
  for (const CutEndpoint& endpoint : rows_) {
    for (const ChangeAtEndpoint& change : endpoint.changes) {
      if (stands(change)) continue;
      return {Errc::cutover_undone, fmt::format("{}, {}: HAProxy does not report what was set",
                                                endpoint.url, what(change.row))};
    }
  }
  return {Errc::cutover_undone, "it was stopped"};
}

void CutoverPlan::tell() {
  if (report_.ending == Ending::done) {
    state_ = CutoverState::applied;
    return;
  }
  const bool unsure = any_change(rows_, must_go_back);
  state_ = unsure ? CutoverState::unknown : CutoverState::undone;
  const std::string why = report_.error->message;
  report_.error->message =
      unsure ? fmt::format(
                   "the cutover could not be had everywhere ({}), and not be undone "
                   "everywhere; see its changes, and run 'stillgate cutover {}{}' until it "
                   "is well",
                   why, request_.name, request_.back ? "" : " --back")
             : fmt::format("the cutover could not be had everywhere, and was undone: {}", why);
  if (!unsure) return;
  report_.error->code = Errc::cutover_unsure;
  // Who stops a call hears that all is as it was.
  report_.ending = Ending::endpoint_failed;
}

/// It was undone, or went back.
bool CutoverPlan::is_record_over() const {
  return request_.back ? state_ == CutoverState::applied : state_ == CutoverState::undone;
}

/// What an earlier one of this name has left, and of HAProxies that are not asked now.
CutoverRecord CutoverPlan::record_behind() const {
  CutoverRecord record{request_.name, request_.known};
  if (!request_.back) return record;
  std::erase_if(record.rows, [this](const CutoverRow& row) {
    return std::ranges::find(request_.endpoints, row.endpoint) != request_.endpoints.end();
  });
  return record;
}

void CutoverPlan::note_record(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (error && !report_.error) report_.error = error;
}

Step CutoverPlan::done() {
  CutoverResult result{request_.name, state_, {}, std::move(proof_.unshown)};
  for (CutEndpoint& endpoint : rows_) {
    for (ChangeAtEndpoint& change : endpoint.changes) {
      CutoverChange told;
      told.endpoint = endpoint.url;
      told.what = what(change.row);
      told.before = change.first;
      told.wanted = change.row.after;
      told.now = change.now;
      told.written = change.written;
      told.state = state_of(change);
      told.error = change.error ? change.error : change.refusal;
      if (!told.error && !change.now) told.error = endpoint.error;
      result.changes.push_back(std::move(told));
    }
  }
  report_.cutover = std::move(result);
  return step::Done{std::move(report_)};
}

}  // namespace stillgate::hold
