// The looks at an HAProxy after its resume.
#include "aftermath.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include <fmt/format.h>

namespace stillgate::hold::aftermath {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

namespace {

constexpr int most_failures = 2;  // one connection may be refused for other reasons

bool is_at_risk(const ResumedSwitch& row) { return row.at_risk; }

bool is_gone(const Error& error) {
  switch (error.code) {
    case Errc::connection_refused:
    case Errc::no_such_socket:
    case Errc::connection_reset:
    case Errc::early_eof:
    case Errc::haproxy_restarted:
      return true;
    default:
      return false;
  }
}

void tell_death(ResumedEndpoint& endpoint, const std::string& why) {
  endpoint.died = true;
  for (ResumedSwitch& row : endpoint.switches) {
    row.report.error =
        Error{Errc::crashed_on_resume,
              fmt::format("HAProxy {} died after its resume (haproxy issue 2726): {}; clients that "
                          "waited got a reset; see that it runs, and use a release with the fix",
                          row.report.version.value_or("here"), why)};
  }
}

bool is_watched(const ResumedEndpoint& endpoint) {
  return endpoint.watched_until && !endpoint.died;
}

/// The one that was released.
const Info* process_of(const ResumedEndpoint& endpoint) {
  const auto& seen = endpoint.last && !endpoint.last->error ? endpoint.last : endpoint.first;
  return seen && seen->info ? &*seen->info : nullptr;
}

void read_endpoint(ResumedEndpoint& endpoint, const Answer& answer) {
  endpoint.silence = answer.error ? answer.error : answer.replies.front().refusal;
  if (endpoint.silence) {
    if (is_gone(*endpoint.silence) && ++endpoint.failures >= most_failures) {
      tell_death(endpoint, endpoint.silence->message);
    }
    return;
  }
  endpoint.failures = 0;
  const auto info = parse_info(answer.replies.front().text);
  const Info* before = process_of(endpoint);
  if (!info || before == nullptr || info->pid == before->pid) return;
  tell_death(endpoint, fmt::format("process {} answers in place of {}", info->pid, before->pid));
}

}  // namespace

void begin(ResumeRows& rows, std::chrono::milliseconds elapsed) {
  for (ResumedEndpoint& endpoint : rows) {
    if (!std::ranges::any_of(endpoint.switches, is_at_risk)) continue;
    endpoint.watched_until = elapsed + risk_lasts;
    const auto dead = std::ranges::find_if(endpoint.switches, [](const ResumedSwitch& row) {
      return row.at_risk && row.report.error && is_gone(*row.report.error);
    });
    if (dead == endpoint.switches.end()) continue;
    const std::string why = dead->report.error->message;
    tell_death(endpoint, why);
  }
}

bool must_look(const ResumeRows& rows, const Observation& observation) {
  if (observation.cancelled) return false;
  return std::ranges::any_of(rows, [&observation](const ResumedEndpoint& endpoint) {
    if (!is_watched(endpoint)) return false;
    const auto until = *endpoint.watched_until;
    return observation.elapsed < (endpoint.silence ? until + patience : until);
  });
}

Batch look(const ResumeRows& rows) {
  Batch batch;
  batch.phase = "watching";
  batch.fresh = true;
  for (const ResumedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    if (is_watched(endpoint)) work.push_back(Command::show_info());
  }
  return batch;
}

void read(ResumeRows& rows, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (is_watched(rows[i])) read_endpoint(rows[i], answers[i]);
  }
}

void conclude(ResumeRows& rows, bool whole) {
  for (ResumedEndpoint& endpoint : rows) {
    if (!is_watched(endpoint)) continue;
    for (ResumedSwitch& row : endpoint.switches) {
      if (!row.at_risk) continue;
      if (endpoint.silence && !row.report.error) {
        row.report.error = endpoint.silence;
      } else if (!endpoint.silence && whole) {
        row.report.findings.push_back(Finding::of(
            FindingCode::survived, fmt::format("watched for {} s after the resume: the same "
                                               "process answers, so it has survived it",
                                               risk_lasts.count())));
      }
    }
  }
}

bool is_watched(const ResumeRows& rows) {
  return std::ranges::any_of(rows,
                             [](const ResumedEndpoint& endpoint) { return is_watched(endpoint); });
}

bool was_any_at_risk(const ResumeRows& rows) { return any_switch(rows, is_at_risk); }

}  // namespace stillgate::hold::aftermath
