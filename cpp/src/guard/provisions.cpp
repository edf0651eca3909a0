// Taking descriptors, threads and memory, and saying which limit forbids it.
#include "provisions.hpp"

#include <csignal>
#include <new>
#include <string>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engine/file_limit.hpp"
#include "engine/ssh_sessions.hpp"
#include "fleet/guard/presence.hpp"

namespace stillgate::guard {

using std::chrono::milliseconds;

namespace {

/// The kept connection, a new one in its place, the line with HAProxy's `wait`, and the next line.
constexpr std::size_t descriptors_per_endpoint = 4;
/// Over TCP a new connection may race over two addresses of a name.
constexpr std::size_t descriptors_per_tcp_endpoint = 6;
constexpr std::size_t memory_of_all = std::size_t{2} << 20U;
constexpr std::size_t memory_per_endpoint = std::size_t{32} << 10U;

/// Short, because a connection that hangs may be replaced, and long enough for an HAProxy that
/// answers half a second late.
FleetOptions short_timeouts() {
  FleetOptions options;
  options.connect_timeout = milliseconds(1000);
  options.greeting_timeout = milliseconds(1500);
  options.reply_timeout = milliseconds(1500);
  return options;
}

/// Signals are for the first thread alone.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

std::string limit_of(__rlimit_resource_t which) {
  rlimit limit{};
  if (::getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return std::to_string(limit.rlim_cur);
}

Error lacks(std::string what) {
  return {Errc::guard_failed,
          fmt::format("the guard (it ends a hold by maxconn if its owner dies) {}", what)};
}

Error too_few_descriptors(std::size_t needed, std::size_t had, std::size_t endpoints) {
  return lacks(
      fmt::format("may open only {} more files, and needs {} for {} endpoints at worst; its limit "
                  "is {}: raise it (ulimit -Hn, LimitNOFILE= of a systemd unit), or suspend fewer "
                  "HAProxies at once",
                  had, needed, endpoints, limit_of(RLIMIT_NOFILE)));
}

Error no_thread(const std::system_error& error) {
  return lacks(
      fmt::format("cannot have the threads or files that it needs: {}; this user's limit "
                  "of processes and threads is {}: raise it (ulimit -u, LimitNPROC= or "
                  "TasksMax= of a systemd unit, a container's pids limit)",
                  error.code().message(), limit_of(RLIMIT_NPROC)));
}

Error no_memory(std::size_t bytes) {
  return lacks(
      fmt::format("cannot have the {} kB of memory that it needs at worst; its limit is "
                  "{} bytes: raise it (ulimit -v, MemoryMax= of a systemd unit)",
                  bytes >> 10U, limit_of(RLIMIT_AS)));
}

void* reserve = nullptr;
std::size_t reserved = 0;

void use_reserve() {
  if (reserve == nullptr) throw std::bad_alloc();
  ::munmap(reserve, reserved);
  reserve = nullptr;
}

}  // namespace

std::vector<std::string> endpoints_of(const hold::Record& record) {
  std::vector<std::string> urls;
  std::unordered_set<std::string_view> seen;
  for (const hold::HeldSwitch& held : record.switches) {
    if (seen.insert(held.endpoint).second) urls.push_back(held.endpoint);
  }
  return urls;
}

bool MemoryReserve::take(std::size_t bytes) noexcept {
  void* const taken = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (taken == MAP_FAILED) return false;
  reserve = taken;
  reserved = bytes;
  std::set_new_handler(use_reserve);
  return true;
}

std::optional<Error> Provisions::take(const fleet::GuardOrder& order) {
  const NoSignals quiet;
  std::size_t bytes = memory_of_all;
  try {
    std::vector<Endpoint> endpoints;
    std::size_t descriptors = 0;
    for (const std::string& url : endpoints_of(order.record)) {
      auto endpoint = Endpoint::parse(url);
      if (!endpoint) continue;
      descriptors += endpoint->kind() == Endpoint::Kind::tcp ? descriptors_per_tcp_endpoint
                                                             : descriptors_per_endpoint;
      endpoints.push_back(*std::move(endpoint));
    }
    bytes += endpoints.size() * memory_per_endpoint;
    const std::size_t had = engine::connection_capacity(descriptors);
    options_ = short_timeouts();
    if (!loop_) loop_ = std::make_unique<engine::Loop>(options_.connect_timeout);
    if (!errands_) errands_ = std::make_unique<Errands>(*loop_);
    if (!threads_) threads_ = engine::start_threads(*loop_, endpoints);
    if (had < descriptors) return too_few_descriptors(descriptors, had, endpoints.size());
    if (!has_memory_) has_memory_ = MemoryReserve::take(bytes);
    if (!has_memory_) return no_memory(bytes);
  } catch (const std::system_error& error) {
    return no_thread(error);
  } catch (const std::bad_alloc&) {
    return no_memory(bytes);
  }
  return std::nullopt;
}

void Provisions::show(const fleet::GuardOrder& order, milliseconds patience) {
  if (std::exchange(shown_, true)) return;
  errands_->run([this, folder = order.state_folder, id = order.record.id] {
    presence_ = fleet::show_guard(folder, id);
  });
  (void)errands_->finish(patience);
}

void Provisions::leave() {
  if (errands_ && !errands_->finish(milliseconds(0))) ::_exit(0);
}

}  // namespace stillgate::guard
