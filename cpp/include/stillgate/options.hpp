// Deadlines and bounds of a fleet's calls, and how far a running call has come.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <stillgate/event.hpp>

namespace stillgate {

/// Deadlines and bounds of one fleet. Each deadline is per endpoint and phase.
struct FleetOptions {
  std::chrono::milliseconds connect_timeout{2000};   ///< 1 ms to 1 h
  std::chrono::milliseconds greeting_timeout{2000};  ///< 1 ms to 1 h; HAProxy's first answer
  std::chrono::milliseconds reply_timeout{5000};     ///< 1 ms to 1 h; from sent to complete reply
  std::size_t max_reply_bytes{64U << 20U};           ///< 1 kB to 1 GiB, per endpoint
  EventOptions events;                               ///< who is told what happens to holds
};

/// How far a running call has come. Written by the call, read by any thread.
struct Progress {
  std::atomic<std::size_t> connected{0};
  std::atomic<std::size_t> answered{0};
  std::atomic<std::int64_t> in_flight{-1};  ///< requests still being served; -1: not known
  std::atomic<const char*> phase{"idle"};   ///< a string literal
};

}  // namespace stillgate
