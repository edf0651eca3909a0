// The drain: looks until nothing that was let in before the hold is being served any more.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/report.hpp>

#include "hold/request.hpp"
#include "hold/survey/survey.hpp"
#include "runtime_api/batch.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {

/// `scur + qcur` of all backends is cheap and tells the quiet HAProxy; where other frontends keep
/// backends busy, `show sess` tells whose the streams are (docs/haproxy-facts.md, section 4,
/// "Drain"). A connection that was accepted just before the hold may have its request read just
/// behind a quiet look: where clients are connected, a second look must find that no request was
/// begun since. A gate sees every request after its switch, so that one quiet look is enough there.
class Drain {
 public:
  static constexpr std::chrono::milliseconds pause{20};
  /// Between two `show sess` of one HAProxy.
  static constexpr std::chrono::milliseconds stream_pause{250};

  enum class State { more, drained, failed };

  /// `gates`: per switch. All must outlive it.
  Drain(const HoldRequest& request, const std::vector<GateHandle>& gates);

  /// Takes what was seen when the hold was read back.
  State begin(const std::vector<Seen>& held, std::chrono::milliseconds elapsed);
  /// Has an endpoint looked at again.
  void doubt(std::size_t endpoint);
  /// The next look, for the endpoints that are not drained yet.
  [[nodiscard]] runtime_api::Batch look(std::chrono::milliseconds elapsed);
  State read(const std::vector<runtime_api::Answer>& answers);
  /// What each switch has in flight; where that is all there is to tell, why it did not drain.
  void tell(std::vector<Switch>& switches, bool timed_out) const;

  /// The last good look at an endpoint.
  [[nodiscard]] const Seen& seen(std::size_t endpoint) const { return hosts_[endpoint].seen; }
  [[nodiscard]] std::chrono::milliseconds began() const noexcept { return began_; }

 private:
  struct HostState {
    Seen seen;
    bool drained{false};
    std::optional<std::int64_t> quiet_begun;  ///< requests so far, when it was quiet
    bool listing{false};                      ///< the look that is under way lists the streams
    std::optional<std::chrono::milliseconds> listed_at;
    std::optional<std::vector<runtime_api::Stream>> streams;  ///< of the held frontends
    std::optional<Error> error;
    int failures{0};
  };

  State judge();
  [[nodiscard]] static std::optional<Error> unfinished(const HostState& host,
                                                       const std::string& frontend);
  void weigh(HostState& host, bool listed_empty) const;
  void read_host(HostState& host, std::size_t endpoint, runtime_api::Answer answer);
  void read_streams(HostState& host, const std::optional<runtime_api::Reply>& listed) const;
  [[nodiscard]] std::int64_t in_flight() const;
  [[nodiscard]] std::optional<Error> ended(const HostState& host, const Seen& now) const;
  [[nodiscard]] const GateHandle& gate(const HostState& host, std::size_t frontend) const;

  const HoldRequest& request_;
  const std::vector<GateHandle>& gates_;
  std::vector<HostState> hosts_;
  std::chrono::milliseconds began_{0};
};

}  // namespace stillgate::hold
