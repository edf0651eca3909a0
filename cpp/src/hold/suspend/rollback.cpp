// The course of a rollback.
#include "rollback.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

namespace {

Batch uninterruptible(const char* phase, std::size_t endpoints) {
  Batch batch;
  batch.phase = phase;
  batch.uninterruptible = true;
  batch.haste = runtime_api::Haste::from_the_beginning;
  batch.work.resize(endpoints);
  return batch;
}

bool idle(const Batch& batch) {
  return std::all_of(batch.work.begin(), batch.work.end(),
                     [](const auto& commands) { return commands.empty(); });
}

}  // namespace

bool may_be_held(const Switch& one) {
  return one.verdict == Verdict::held || one.verdict == Verdict::unknown;
}

Rollback::Rollback(const HoldRequest& request, std::vector<Switch>& switches,
                   const std::vector<bool>& armed, const std::vector<GateHandle>& gates,
                   const Lock& lock)
    : request_(request), switches_(switches), armed_(armed), gates_(gates), lock_(lock) {}

bool Rollback::any_gate(std::size_t endpoint) const {
  const auto first =
      gates_.begin() + static_cast<std::ptrdiff_t>(endpoint * request_.frontends.size());
  return std::any_of(first, first + static_cast<std::ptrdiff_t>(request_.frontends.size()),
                     [](const GateHandle& one) { return one.used; });
}

std::optional<Step> Rollback::begin(WallTime now) {
  for (const Switch& one : switches_) errors_before_.push_back(one.error);
  return revert(now);
}

std::optional<Step> Rollback::next(const Observation& observation) {
  switch (stage_) {
    case Stage::reverting:
      // Whatever was answered, only what is read back counts.
      return verify();
    case Stage::verifying:
      return verified(std::get<observed::Answers>(observation.what).answers, observation.now);
    case Stage::pausing:
      return revert(observation.now);
    case Stage::disarming:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Step> Rollback::revert(WallTime now) {
  Batch batch = uninterruptible("rolling back", request_.endpoints.size());
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    const Switch& one = switches_[i];
    if (!may_be_held(one)) continue;
    auto& work = batch.work[i / request_.frontends.size()];
    if (gates_[i].used) {
      const auto commands = open_gate(one.frontend, gates_[i], std::chrono::milliseconds(0));
      work.insert(work.end(), commands.begin(), commands.end());
    } else {
      work.push_back(*Command::set_maxconn(one.frontend, *one.limit_before));
    }
  }
  if (idle(batch)) return disarm(now);
  ++attempt_;
  stage_ = Stage::reverting;
  return batch;
}

Step Rollback::verify() {
  stage_ = Stage::verifying;
  Batch batch = uninterruptible("verifying", request_.endpoints.size());
  for (std::size_t i = 0; i < batch.work.size(); ++i) {
    batch.work[i] =
        survey_commands(request_.frontends, any_gate(i) ? Scope::gates : Scope::proxies);
  }
  return batch;
}

std::optional<Step> Rollback::verified(const std::vector<Answer>& answers, WallTime now) {
  for (std::size_t i = 0; i < request_.endpoints.size(); ++i) {
    const Scope scope = any_gate(i) ? Scope::gates : Scope::proxies;
    judge(i, read_survey(answers[i], request_.endpoints[i], request_.frontends, scope));
  }
  const bool missing = std::any_of(switches_.begin(), switches_.end(), may_be_held);
  if (missing && attempt_ < attempts) {
    stage_ = Stage::pausing;
    return step::Wait{pause};
  }
  return disarm(now);
}

/// A record without its hold does no harm, and a lock ends with its deadline, so that this is tried
/// once.
std::optional<Step> Rollback::disarm(WallTime now) {
  Batch batch = uninterruptible("rolling back", request_.endpoints.size());
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    const std::size_t endpoint = i / request_.frontends.size();
    if (may_be_held(switches_[i])) continue;
    auto& work = batch.work[endpoint];
    if (armed_[endpoint] && !gates_[i].used) {
      const auto commands = empty_variable(switches_[i].frontend);
      work.insert(work.end(), commands.begin(), commands.end());
    }
    const auto freed = lock_.free(i, now);
    work.insert(work.end(), freed.begin(), freed.end());
  }
  if (idle(batch)) return std::nullopt;
  stage_ = Stage::disarming;
  return batch;
}

void Rollback::judge(std::size_t endpoint, const Seen& now) {
  for (std::size_t j = 0; j < request_.frontends.size(); ++j) {
    Switch& one = switches_[endpoint * request_.frontends.size() + j];
    if (!may_be_held(one)) continue;
    if (now.error) {
      one.verdict = Verdict::unknown;
      if (!one.error) one.error = now.error;
      continue;
    }
    one.limit_now = now.limit(j);
    const GateHandle& gate = gates_[endpoint * request_.frontends.size() + j];
    if (gate.used ? now.gate_holds(j) : one.limit_now == 0) {
      // Still held: only a later attempt, or a resume, changes that.
      one.verdict = Verdict::held;
      one.error =
          Error{gate.used ? Errc::gate_failed : Errc::limit_mismatch,
                fmt::format("the rollback did not take: {}; run 'stillgate resume'",
                            gate.used ? "the gate still holds" : "the limit still reads 0")};
      continue;
    }
    one.verdict = Verdict::reverted;
    // What an earlier attempt of this rollback met is over.
    one.error = errors_before_[endpoint * request_.frontends.size() + j];
    one.hold_id.reset();
    one.method.reset();
    one.lease.reset();
    if (!gate.used && one.limit_now != one.limit_before) {
      one.error =
          Error{Errc::limit_mismatch, fmt::format("open again, with the limit {} in place of {}",
                                                  one.limit_now.value_or(0), *one.limit_before)};
    } else if (!one.error) {
      one.error =
          Error{Errc::rolled_back,
                "held, and released again because the call failed elsewhere or was stopped"};
    }
  }
}

}  // namespace stillgate::hold
