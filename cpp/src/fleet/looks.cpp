// The kept connections, and the kernel's queues.
#include "looks.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "listen_queues.hpp"
#include "runtime_api/command.hpp"
#include "runtime_api/listeners.hpp"

namespace stillgate::fleet {
namespace {

// A connection that is kept leads to the old worker of a reload, for as long as it is kept.
constexpr int looks_per_connection = 10;

}  // namespace

bool is_local(const Endpoint& endpoint) {
  switch (endpoint.kind()) {
    case Endpoint::Kind::unix_socket:
      return true;
    case Endpoint::Kind::tcp:
    case Endpoint::Kind::ssh:
      return false;
  }
  return false;
}

Looks::Looks(const Means& means)
    : means_(means), session_(means.endpoints, means.options, means.progress) {}

Report Looks::drive(hold::Plan& plan, const Journal& journal, const std::stop_token& stop) {
  const bool fresh = looks_++ % looks_per_connection == 0;
  return fleet::drive(plan, journal, means_, session_, fresh, stop);
}

void Looks::count_in_kernel(Report& report, const std::stop_token& stop) {
  std::set<std::string> unasked;
  std::set<std::string> here;
  for (const Endpoint& endpoint : means_.endpoints) {
    if (is_local(endpoint)) here.insert(endpoint.url());
  }
  const auto counts = [&](const Switch& one) {
    return one.verdict == Verdict::held && one.method == name(Method::maxconn) && !one.error &&
           here.contains(one.endpoint);
  };
  for (const Switch& one : report.switches) {
    if (counts(one) && !ports_.contains(one.endpoint)) unasked.insert(one.endpoint);
  }
  ask_ports(unasked, stop);
  std::optional<std::map<std::uint16_t, ListenQueue>> queues;
  for (Switch& one : report.switches) {
    if (!counts(one)) continue;
    if (!queues) queues = listen_queues();
    for (const std::uint16_t port : ports_[one.endpoint][one.frontend]) {
      const auto found = queues->find(port);
      if (found == queues->end()) continue;
      one.waiting = one.waiting.value_or(0) + found->second.waiting;
    }
  }
}

/// Once: it costs HAProxy more than all else. Where it is not answered it is not asked again.
void Looks::ask_ports(const std::set<std::string>& urls, const std::stop_token& stop) {
  if (urls.empty()) return;
  runtime_api::Batch batch;
  batch.work.resize(means_.endpoints.size());
  for (std::size_t i = 0; i < means_.endpoints.size(); ++i) {
    if (urls.contains(means_.endpoints[i].url())) {
      batch.work[i].push_back(runtime_api::Command::show_descriptors());
    }
  }
  const auto answers = session_.run(batch, stop);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (batch.work[i].empty()) continue;
    Ports& ports = ports_[means_.endpoints[i].url()];
    if (answers[i].error || answers[i].replies.empty()) continue;
    for (auto& listener : runtime_api::parse_listeners(answers[i].replies.front().text)) {
      ports[listener.frontend].insert(listener.port);
    }
  }
}

}  // namespace stillgate::fleet
