// What a suspend makes of what it reads back after the commit.
#include "hold/check/already_held.hpp"
#include "hold/check/method.hpp"
#include "suspend_plan.hpp"

namespace stillgate::hold {

/// What was read back decides, not the answer to the commit: a lost answer with the limit at 0
/// is a hold.
void SuspendPlan::judge(std::size_t endpoint, const Seen& now) {
  for (std::size_t j = 0; j < frontends_; ++j) {
    Switch& one = at(endpoint, j);
    if (now.error) {
      one.verdict = sent_[endpoint] ? Verdict::unknown : Verdict::unchanged;
      if (!one.error) one.error = now.error;
      continue;
    }
    one.limit_now = now.limit(j);
    if (gates_[endpoint * frontends_ + j].used) {
      judge_gate(one, endpoint, j, now);
      continue;
    }
    if (!now.same_process(before_[endpoint])) {
      one.verdict = one.limit_now == 0 ? Verdict::unknown : Verdict::unchanged;
      one.error = Error{Errc::haproxy_restarted,
                        "another process answers than before the commit; its limits are those of "
                        "its configuration"};
    } else if (now.frontends[j] && now.frontends[j]->stopped) {
      one.verdict = Verdict::unknown;
      one.error = stopped(one.frontend);
    } else if (one.limit_now == 0) {
      one.verdict = Verdict::held;
      one.error.reset();
      one.method = by_maxconn;
      one.lease = word(request_.record.switches[endpoint * frontends_ + j].lease);
      one.hold_id = request_.record.id;
    } else {
      // A commit without an answer may still run, late: it is rolled back like one that did.
      one.verdict = lost_[endpoint] ? Verdict::unknown : Verdict::unchanged;
      if (!one.error) {
        one.error = Error{Errc::limit_mismatch,
                          "HAProxy took the command, but the limit reads back as it was"};
      }
    }
  }
}

/// Another process is no matter here: a gate outlives a reload.
void SuspendPlan::judge_gate(Switch& one, std::size_t endpoint, std::size_t frontend,
                             const Seen& now) {
  const auto* gate = now.gate_switch(frontend);
  const bool ours = gate != nullptr && now.gate_holds(frontend) && gate->id == request_.record.id;
  if (ours) {
    one.verdict = Verdict::held;
    one.error.reset();
    one.method = by_gate;
    one.lease = "haproxy";
    one.hold_id = request_.record.id;
    one.waiting = gate->waiting;
    one.gate = gate->counters;
    return;
  }
  const bool others = gate != nullptr && now.gate_holds(frontend);
  // A switch that was written without its sync would hold at anybody's next sync, and a commit
  // without an answer may run late: both are rolled back like one that holds.
  one.verdict = sent_[endpoint] && !others ? Verdict::unknown : Verdict::unchanged;
  if (one.error) return;
  one.error = Error{others ? Errc::already_held : Errc::gate_failed,
                    others ? "the gate was switched to another hold just now"
                           : "HAProxy took the switch, but the gate is open"};
}

}  // namespace stillgate::hold
