// The question whose hold it is, and what is made of the answer.
#include "condition.hpp"

#include <algorithm>
#include <utility>

namespace stillgate::hold {

using runtime_api::Command;
using runtime_api::GateSwitch;
using runtime_api::Reply;

namespace {

/// One frontend, with all that is needed once the survey is gone.
struct Asked {
  std::string name;
  std::string only;
  std::vector<std::string> known;

  [[nodiscard]] bool knows(const std::string& id) const {
    return std::ranges::find(known, id) != known.end();
  }
};

void note(std::vector<std::string>& known, const std::string& id) {
  if (!id.empty()) known.push_back(id);
}

Asked asked_of(const Seen& seen, const Place& place) {
  Asked asked{place.name, place.only, place.known};
  note(asked.known, place.only);
  if (const auto* gate = seen.gate_switch(place.place)) {
    note(asked.known, gate->id);
    note(asked.known, gate->lock_id);
  }
  if (place.place < seen.remembered.size() && seen.remembered[place.place].record) {
    note(asked.known, seen.remembered[place.place].record->id);
  }
  if (place.place < seen.locks.size() && seen.locks[place.place].last) {
    note(asked.known, seen.locks[place.place].last->id);
  }
  return asked;
}

bool is_known(const Asked& asked, const GateSwitch& gate) {
  if (gate.mode != GateSwitch::Mode::open && !asked.knows(gate.id)) return false;
  return gate.lock_id.empty() || asked.knows(gate.lock_id);
}

}  // namespace

runtime_api::Condition no_other_hold(const Seen& seen, const std::string& endpoint,
                                     const std::vector<Place>& places) {
  runtime_api::Condition condition;
  std::vector<Asked> all;
  std::vector<std::string> frontends;
  const bool gated = seen.gate.has_value();
  const bool remembers = seen.has_variables();
  for (const Place& place : places) {
    frontends.push_back(place.name);
    all.push_back(asked_of(seen, place));
    if (!remembers) continue;
    condition.question.push_back(read_variable(place.name));
    condition.question.push_back(read_hint(place.name));
  }
  if (all.empty()) return condition;
  if (gated) condition.question.push_back(*Command::gate_status(frontends));
  condition.holds = [=](const std::vector<Reply>& replies) {
    auto reply = replies.begin();
    std::vector<bool> stands(all.size(), false);
    for (std::size_t i = 0; remembers && i < all.size(); ++i) {
      const auto found = read_remembered(*reply++, endpoint, all[i].name);
      const auto last = read_lock(*reply++, endpoint, all[i].name);
      if (found.record && !all[i].knows(found.record->id)) return false;
      if (last && !all[i].knows(last->id)) return false;
      stands[i] = found.record && found.record->id == all[i].only;
    }
    if (gated) {
      const auto status = runtime_api::parse_gate_status(reply->text);
      // A gate that is gone holds nobody.
      for (std::size_t i = 0; status && i < all.size(); ++i) {
        const auto at = status->frontends.find(all[i].name);
        if (at == status->frontends.end()) continue;
        if (!is_known(all[i], at->second)) return false;
        const bool held = at->second.mode != GateSwitch::Mode::open;
        stands[i] = stands[i] || (held && at->second.id == all[i].only);
      }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].only.empty() && !stands[i]) return false;
    }
    return true;
  };
  return condition;
}

}  // namespace stillgate::hold
