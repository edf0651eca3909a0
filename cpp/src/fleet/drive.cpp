// The loop between a plan and the world.
#include "drive.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "engine/session.hpp"
#include "fleet/guard/prover.hpp"

namespace stillgate::fleet {
namespace {

using runtime_api::Batch;
using std::chrono::milliseconds;

/// Sleeps, but wakes at once when the caller stops.
void wait(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

Report too_large(std::size_t endpoints, std::size_t capacity) {
  Report report;
  report.ending = Ending::refused;
  report.error = Error{Errc::fleet_too_large,
                       fmt::format("a hold needs {} connections at once, and this process may open "
                                   "only {}; raise the hard limit (ulimit -Hn)",
                                   endpoints, capacity)};
  return report;
}

}  // namespace

Report drive(hold::Plan& plan, const Journal& journal, const Means& means,
             const std::stop_token& stop) {
  engine::Session session(means.endpoints, means.options, means.progress, stop);
  return drive(plan, journal, means, session, false, stop);
}

Report drive(hold::Plan& plan, const Journal& journal, const Means& means, engine::Session& session,
             bool fresh, const std::stop_token& stop) {
  const auto began = means.clock();
  if (session.capacity() < means.endpoints.size()) {
    return too_large(means.endpoints.size(), session.capacity());
  }
  WaitProver prover;
  hold::Observation seen{hold::observed::Begin{}, milliseconds(0), std::chrono::system_clock::now(),
                         false};
  for (;;) {
    hold::Step step = plan.next(seen);
    for (Event& event : plan.take_events()) means.events.report(std::move(event));
    if (auto* done = std::get_if<hold::step::Done>(&step)) {
      means.progress.phase = "done";
      means.names.put_into(done->report);
      return std::move(done->report);
    }
    if (auto* batch = std::get_if<Batch>(&step)) {
      means.progress.in_flight = batch->in_flight.value_or(-1);
      batch->fresh = std::exchange(fresh, false) || batch->fresh;
      hold::observed::Answers told{session.run(*batch, stop)};
      means.names.learn(told.answers);
      seen.what = std::move(told);
    } else if (const auto* write = std::get_if<hold::step::WriteJournal>(&step)) {
      seen.what = hold::observed::Journaled{journal.keep(write->record)};
    } else if (const auto* keep = std::get_if<hold::step::KeepCutover>(&step)) {
      seen.what = hold::observed::Journaled{journal.keep_cutover(keep->record)};
    } else if (const auto* prove = std::get_if<hold::step::ProveWaits>(&step)) {
      means.progress.phase = "proving the release that waits";
      seen.what = prover.start(*prove, stop);
    } else if (std::holds_alternative<hold::step::EndProof>(step)) {
      prover.end();
      seen.what = hold::observed::Tick{};
    } else if (const auto* start = std::get_if<hold::step::StartGuard>(&step)) {
      means.progress.phase = "starting the guard";
      means.guard.call_them(means.names.all());
      seen.what = means.guard.start(start->record, stop);
    } else if (const auto* tell = std::get_if<hold::step::TellGuard>(&step)) {
      seen.what = means.guard.tell(tell->word);
    } else {
      wait(std::get<hold::step::Wait>(step).time, stop);
      seen.what = hold::observed::Tick{};
    }
    seen.elapsed = means.clock() - began;
    seen.now = std::chrono::system_clock::now();
    seen.cancelled = stop.stop_requested();
  }
}

}  // namespace stillgate::fleet
