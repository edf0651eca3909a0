// The plan of `resume`: release what can be reached, retry the rest, restore the limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "findings.hpp"
#include "plan.hpp"

namespace stillgate::hold {

class ResumePlan final : public Plan {
 public:
  struct Request {
    Question question;
    std::vector<Record> records;
    std::optional<std::int64_t> limit;  ///< in place of the recorded one; 1 to 2^31-1
    std::chrono::milliseconds retry_for{0};
  };

  static constexpr std::chrono::milliseconds retry_pause{250};

  explicit ResumePlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage { start, surveying, releasing, verifying, pausing, closing_records };

  /// One frontend at one endpoint on its way to being released.
  struct Course {
    bool settled{false};
    bool written{false};        ///< a release was sent
    std::optional<Error> lost;  ///< no answer came to it: it may never have arrived
    std::optional<std::int64_t> target;
  };

  Step ask(const char* phase);
  Step surveyed(const std::vector<runtime_api::Answer>& answers, const Observation& observation);
  Step release();
  Step released(const std::vector<runtime_api::Answer>& answers);
  Step retry_or_close(const Observation& observation);
  Step close_records();
  Step done();

  void judge(std::size_t endpoint, const Seen& seen);
  void judge_open(Switch& one, Course& course, const Record* record);
  void judge_zero(Switch& one, Course& course, const Record* record);
  [[nodiscard]] bool pending(std::size_t endpoint) const;
  [[nodiscard]] bool due(std::size_t course) const;

  Request request_;
  std::size_t endpoints_;
  std::size_t frontends_;
  Stage stage_{Stage::start};
  std::vector<Course> courses_;
  std::vector<std::optional<Seen>> first_;  ///< what was seen at each endpoint first
  std::size_t next_record_{0};
  Report report_;
};

}  // namespace stillgate::hold
