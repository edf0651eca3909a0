// Arming: the record of a hold goes into each HAProxy before anything else changes there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hold/record/gate_token.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// Writes the record and reads it back, for the switches that are to be held by maxconn; a gate's
/// switch carries its record itself. Who has nothing to keep is asked for something short: the
/// batch is also a round trip right before the commit, by which its writes are aligned.
class Arming {
 public:
  /// `gates`: per switch. All must outlive it.
  Arming(const HoldRequest& request, const std::vector<GateHandle>& gates);

  /// Errors: bad_command, where the record is too long for one line.
  [[nodiscard]] Result<runtime_api::Batch> begin(const std::vector<Seen>& seen,
                                                 const Record& record) const;
  /// This HAProxy is given a record to keep.
  [[nodiscard]] bool arms(std::size_t endpoint, const Seen& seen) const;
  /// Why the record with this id does not stand in that HAProxy, by its answer.
  [[nodiscard]] std::optional<Error> unarmed(const Seen& seen, std::size_t endpoint,
                                             const runtime_api::Answer& answer,
                                             const std::string& id) const;

 private:
  [[nodiscard]] std::vector<std::string> armed_frontends(std::size_t endpoint,
                                                         const Seen& seen) const;

  const HoldRequest& request_;
  const std::vector<GateHandle>& gates_;
};

}  // namespace stillgate::hold
