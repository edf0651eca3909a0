// The engine's side of the bench: `show info` to many endpoints through engine::Session.
//
//   engine_peer FILE     FILE has an endpoint per line
//
// Reads `cold`, `warm`, `commit`, `barrier` and `memory` from stdin and prints a line of JSON for
// each. `memory` is only true as the first word of a fresh process: later, memory that is free
// already is used.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <engine/session.hpp>

#include "measure.hpp"

namespace {

using stillgate::Endpoint;
using stillgate::FleetOptions;
using stillgate::Progress;
using stillgate::engine::Session;
using stillgate::runtime_api::Answer;
using stillgate::runtime_api::Batch;
using stillgate::runtime_api::Closing;
using stillgate::runtime_api::Command;

/// What the stage's frontend has: a commit that changes nothing is sent and answered as any other.
constexpr std::int64_t limit_of_idle = 100;

/// To `show info`, which has a text, or to a commit, which has none.
std::size_t count_good(const std::vector<Answer>& answers) {
  const auto good = std::count_if(answers.begin(), answers.end(), [](const Answer& answer) {
    return !answer.error && answer.replies.size() == 1 && !answer.replies[0].refusal &&
           (answer.replies[0].text.empty() ||
            answer.replies[0].text.find("\nPid: ") != std::string::npos);
  });
  return static_cast<std::size_t>(good);
}

/// First command sent, to the last answer.
double window_ms(const std::vector<Answer>& answers) {
  double first = 0;
  double last = 0;
  for (const Answer& answer : answers) {
    if (!answer.timings.sent_ms || !answer.timings.answered_ms) continue;
    first = first == 0 ? *answer.timings.sent_ms : std::min(first, *answer.timings.sent_ms);
    last = std::max(last, *answer.timings.answered_ms);
  }
  return last - first;
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

class Engine {
 public:
  explicit Engine(std::vector<Endpoint> endpoints)
      : endpoints_(std::move(endpoints)),
        cold_(batch(Closing::quit, false)),
        warm_(batch(Closing::keep, true)) {
    commit_ = warm_;
    commit_.work.assign(endpoints_.size(), {*Command::set_maxconn("idle", limit_of_idle)});
  }

  bench::Round cold() { return fresh(cold_); }

  /// Cold, but the first command is sent when the last connection is open and greeted.
  bench::Round barrier() { return fresh(warm_); }

  bench::Round warm() { return kept(warm_); }
  /// Warm, with the command of a commit, whose answer is short.
  bench::Round commit() { return kept(commit_); }
  void memory() {
    // What one endpoint alone costs, code pages and the shared buffer, is not per endpoint.
    const std::vector<Endpoint> one(endpoints_.begin(), endpoints_.begin() + 1);
    Batch small;
    small.work.push_back(warm_.work.front());
    Session first(one, options_, progress_);
    const std::vector<Answer> ignored = first.run(small, std::stop_token());

    const std::size_t before = resident_bytes();
    Session session(endpoints_, options_, progress_);
    const std::vector<Answer> answers = session.run(warm_, std::stop_token());
    const std::size_t grown = resident_bytes() - before;
    std::printf("{\"bytes_per_endpoint\": %zu, \"ok\": %zu}\n", grown / endpoints_.size(),
                count_good(answers));
    std::fflush(stdout);
  }

  [[nodiscard]] std::size_t size() const { return endpoints_.size(); }

 private:
  /// The CPU is that of the whole run, the look at each kept connection included.
  bench::Round kept(const Batch& batch) {
    if (!kept_) {
      kept_ = std::make_unique<Session>(endpoints_, options_, progress_);
      kept_->run(warm_, std::stop_token());
    }
    const double cpu = bench::cpu_us();
    const double begun = bench::now_ms();
    const std::vector<Answer> answers = kept_->run(batch, std::stop_token());
    const double total = bench::now_ms() - begun;
    return {total, window_ms(answers), bench::cpu_us() - cpu, count_good(answers)};
  }

  bench::Round fresh(const Batch& batch) {
    kept_.reset();
    const double cpu = bench::cpu_us();
    const double begun = bench::now_ms();
    std::vector<Answer> answers;
    {
      Session session(endpoints_, options_, progress_);
      answers = session.run(batch, std::stop_token());
    }
    const double total = bench::now_ms() - begun;
    return {total, window_ms(answers), bench::cpu_us() - cpu, count_good(answers)};
  }

  [[nodiscard]] Batch batch(Closing closing, bool barrier) const {
    Batch made;
    made.work.assign(endpoints_.size(), {Command::show_info()});
    made.closing = closing;
    made.barrier = barrier;
    return made;
  }

  std::vector<Endpoint> endpoints_;
  FleetOptions options_;
  Progress progress_;
  Batch cold_;
  Batch warm_;
  Batch commit_;
  std::unique_ptr<Session> kept_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<Endpoint> endpoints;
  for (const std::string& line : bench::read_lines(argv[1])) {
    auto endpoint = Endpoint::parse(line);
    if (!endpoint) {
      std::cerr << endpoint.error().message << '\n';
      return 2;
    }
    endpoints.push_back(*std::move(endpoint));
  }
  if (endpoints.empty()) return 2;
  Engine engine(std::move(endpoints));
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "cold") bench::print(engine.cold(), engine.size());
    if (line == "warm") bench::print(engine.warm(), engine.size());
    if (line == "commit") bench::print(engine.commit(), engine.size());
    if (line == "barrier") bench::print(engine.barrier(), engine.size());
    if (line == "memory") engine.memory();
  }
}
