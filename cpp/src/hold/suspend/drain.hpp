// The drain: looks until nothing that was let in before the hold is being served any more.
#pragma once

#include <chrono>
#include <vector>

#include "runtime_api/batch.hpp"
#include "suspend_rows.hpp"

/// `scur + qcur` of all backends is cheap and tells the quiet HAProxy; where other frontends keep
/// backends busy, `show sess` tells whose the streams are (docs/haproxy-facts.md, section 4,
/// "Drain"). A connection that was accepted just before the hold may have its request read just
/// after a quiet look: where clients are connected, a second look must find that no request was
/// begun since. A gate sees every request after its switch, so that one quiet look is enough there,
/// and what begins later is exempt from the hold.
namespace stillgate::hold::drain {

inline constexpr std::chrono::milliseconds pause{20};
/// Between two `show sess` of one HAProxy.
inline constexpr std::chrono::milliseconds stream_pause{250};

enum class State { more, drained, failed };

/// Takes what was seen when the hold was read back for the first look.
void begin(SuspendRows& rows, const SuspendRequest& request);
[[nodiscard]] State state_of(const SuspendRows& rows);
/// The next look, at the endpoints that are not drained yet.
[[nodiscard]] runtime_api::Batch look(SuspendRows& rows, const SuspendRequest& request,
                                      std::chrono::milliseconds elapsed);
void read(SuspendRows& rows, const SuspendRequest& request,
          const std::vector<runtime_api::Answer>& answers);
/// Has that endpoint looked at again.
void doubt(SuspendedEndpoint& endpoint);
/// What each switch has in flight; where that is all there is to tell, why it did not drain.
void tell(SuspendRows& rows, const SuspendRequest& request, bool timed_out);

}  // namespace stillgate::hold::drain
