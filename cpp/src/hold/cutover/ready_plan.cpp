// The course of `--ready-first`: to drain, until checks have shown them up; else back to maint.
#include "ready_plan.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hold/resume_point.hpp"
#include "hold/rows.hpp"
#include "proof.hpp"
#include "reading.hpp"

namespace stillgate::hold {

using runtime_api::Batch;
using runtime_api::Command;

ReadyPlan::ReadyPlan(Request request) : request_(std::move(request)) {
  report_.action = "cutover";
  CutoverRequest& cutover = request_.cutover;
  rows_ = rows_of(cutover);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    for (const ChangeAtEndpoint& change : rows_[i].changes) {
      if (!makes_ready(change.row)) continue;
      servers_.push_back({i, change.row.place});
      servers_.back().moved = std::ranges::any_of(
          request_.moved, [&change](const CutoverRow& row) { return row.same_place(change.row); });
    }
  }
}

Step ReadyPlan::next(const Observation& observation) {
  switch (at_) {
    case 0:
      if (request_.moved.empty()) {
        YIELD(1, look());
        read(observation);
        if (refuse(observation)) return done();
        if (asks(write())) {
          YIELD(2, step::KeepCutover{record()});
          if (!confirm_record(observation)) return done();
        }
        for (;;) {
          if (asks(write())) {
            YIELD(3, write());
            read_written(observation);
          }
          YIELD(4, look());
          read(observation);
          if (all_ready() || must_give_up(observation)) break;
          YIELD(5, step::Wait{look_pause});
        }
        if (all_ready()) return done();
        give_up(observation);
      }
      gave_up_ = true;
      undo_began_ = observation.elapsed;
      for (;;) {
        YIELD(6, look());
        read(observation);
        if (asks(write_back())) {
          YIELD(7, write_back());
          YIELD(8, look());
          read(observation);
        }
        if (!undo_again(observation)) break;
        YIELD(9, step::Wait{look_pause});
      }
      note_moved();
      tell_undone();
      if (moved_.empty()) YIELD(10, step::KeepCutover{record_before()});
  }
  return done();
}

/// On new connections once something was written: a kept one may lead to the old worker of a
/// reload.
Batch ReadyPlan::look() const {
  Batch batch;
  batch.phase = gave_up_ ? "restoring" : "waiting for checks";
  batch.uninterruptible = gave_up_;
  batch.fresh = kept_ || gave_up_;
  for (const CutEndpoint& endpoint : rows_) {
    batch.work.push_back(reading::commands(endpoint, request_.cutover));
  }
  return batch;
}

/// Those in maintenance to drain, again where a reload has lost it; and then the health of those
/// with `fall 1`.
Batch ReadyPlan::write() {
  Batch batch;
  batch.phase = "bringing to drain";
  batch.work.resize(rows_.size());
  sent_.clear();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const Server& server = servers_[i];
    const bool forces = server.must_be_forced();
    if (server.now != "maint" && !forces) continue;
    auto command = forces ? Command::set_server_down(server.place)
                          : Command::set_server_state(server.place, "drain");
    batch.work[server.endpoint].push_back(*std::move(command));
    sent_.push_back({i, forces});
  }
  return batch;
}

Batch ReadyPlan::write_back() const {
  Batch batch;
  batch.phase = "restoring";
  batch.uninterruptible = true;
  batch.work.resize(rows_.size());
  for (const Server& server : servers_) {
    if (!server.moved || server.now != "drain") continue;
    batch.work[server.endpoint].push_back(*Command::set_server_state(server.place, "maint"));
  }
  return batch;
}

CutoverRecord ReadyPlan::record_before() const {
  return {request_.cutover.name, request_.cutover.known};
}

/// What is on record already stays there; of a server that is in maintenance now, that.
CutoverRecord ReadyPlan::record() const {
  CutoverRecord record = record_before();
  for (const Server& server : servers_) {
    if (server.now != "maint") continue;
    CutoverRow row{rows_[server.endpoint].url, "state", server.place, "", "maint", "drain"};
    std::erase_if(record.rows, [&row](const CutoverRow& known) { return known.same_place(row); });
    record.rows.push_back(std::move(row));
  }
  return record;
}

void ReadyPlan::read(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    reading::read(rows_[i], request_.cutover, answers[i]);
  }
  for (Server& server : servers_) {
    const CutEndpoint& endpoint = rows_[server.endpoint];
    const auto* state = endpoint.error ? nullptr : server_at(endpoint.standing, server.place);
    server.now = state == nullptr ? "" : state->state;
    server.health = state == nullptr ? ServerHealth() : health_at(endpoint.standing, server.place);
    // A reload has put it there.
    if (server.now == "maint") server.forced = false;
  }
}

bool ReadyPlan::refuse(const Observation& observation) {
  if (observation.cancelled) {
    report_.ending = Ending::cancelled;
    return true;
  }
  proof::refuse_unknown(rows_, report_);
  return report_.ending != Ending::done;
}

bool ReadyPlan::confirm_record(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  kept_ = true;
  if (!error && !observation.cancelled) return true;
  report_.ending = error ? Ending::refused : Ending::cancelled;
  report_.error = error;
  return false;
}

/// What is read back decides where it stands. HAProxy's own refusal would come again.
void ReadyPlan::read_written(const Observation& observation) {
  const auto& answers = answers_of(observation);
  std::vector<std::size_t> replies(rows_.size(), 0);
  for (const Sent& sent : sent_) {
    Server& server = servers_[sent.server];
    const auto& answer = answers[server.endpoint];
    if (!answer.sent) continue;
    if (!sent.forces) server.moved = true;
    const std::size_t reply = replies[server.endpoint]++;
    if (answer.error || reply >= answer.replies.size()) continue;
    server.refusal = answer.replies[reply].refusal;
    if (sent.forces && !server.refusal) server.forced = true;
  }
}

bool ReadyPlan::all_ready() const {
  return std::ranges::all_of(servers_, [](const Server& server) { return server.is_ready(); });
}

bool ReadyPlan::must_give_up(const Observation& observation) const {
  const bool refused = std::ranges::any_of(servers_, [](const Server& server) {
    return server.refusal && reading::is_final(*server.refusal);
  });
  return refused || observation.cancelled || observation.elapsed + look_pause >= request_.ready_for;
}

/// All that are not ready, by their names.
void ReadyPlan::give_up(const Observation& observation) {
  std::set<std::string> words;
  for (const Server& server : servers_) {
    const CutEndpoint& endpoint = rows_[server.endpoint];
    if (server.is_ready()) continue;
    std::string why = server.health.words;
    if (endpoint.error) why = "cannot be asked: " + endpoint.error->message;
    if (server.must_be_forced()) why = "was not checked since it left maint";
    if (server.refusal) why = "cannot be brought to drain: " + server.refusal->message;
    words.insert(fmt::format("{} at {} {}", server.place, endpoint.url, why));
  }
  report_.ending = observation.cancelled ? Ending::cancelled : Ending::refused;
  if (observation.cancelled) return;
  report_.error = Error{Errc::cutover_not_ready,
                        fmt::format("not up within {:g} s: {}",
                                    static_cast<double>(request_.ready_for.count()) / 1000.0,
                                    fmt::join(words, "; "))};
}

bool ReadyPlan::undo_again(const Observation& observation) {
  const bool left = std::ranges::any_of(
      servers_, [](const Server& server) { return server.moved && server.now != "maint"; });
  return left && observation.elapsed - undo_began_ + look_pause < undo_for;
}

/// Ready, or where it could not be put back.
void ReadyPlan::note_moved() {
  moved_.clear();
  for (const Server& server : servers_) {
    if (!server.moved || (gave_up_ && server.now == "maint")) continue;
    moved_.push_back({rows_[server.endpoint].url, "state", server.place, "", "maint", "drain"});
  }
}

void ReadyPlan::tell_undone() {
  if (moved_.empty()) {
    if (report_.error) report_.error->message += "; all are as before, and nothing was held";
    return;
  }
  std::set<std::string> left;
  for (const CutoverRow& row : moved_) left.insert(row.place + " at " + row.endpoint);
  const std::string why = report_.error ? report_.error->message : "it was stopped";
  // Who stops a call hears that all is as it was.
  report_.ending = Ending::endpoint_failed;
  report_.error = Error{
      Errc::cutover_unsure,
      fmt::format("{}; nothing was held, but these may still be in drain: {}; 'stillgate cutover "
                  "{} --back' restores maint",
                  why, fmt::join(left, ", "), request_.cutover.name)};
}

Step ReadyPlan::done() {
  if (!gave_up_) note_moved();
  CutoverResult result{request_.cutover.name, CutoverState::refused, {}};
  if (report_.ending == Ending::done) result.state = CutoverState::possible;
  if (gave_up_ && !moved_.empty()) result.state = CutoverState::unknown;
  report_.cutover = std::move(result);
  return step::Done{std::move(report_)};
}

}  // namespace stillgate::hold
