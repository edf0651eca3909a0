// Arithmetic over the timings of a commit.
#include "timing.hpp"

#include <algorithm>

namespace stillgate::hold {

using runtime_api::Answer;

std::optional<double> commit_window_ms(const std::vector<Answer>& answers) {
  std::optional<double> first;
  std::optional<double> last;
  for (const Answer& answer : answers) {
    if (!answer.timings.sent_ms || !answer.timings.answered_ms) return std::nullopt;
    first = std::min(first.value_or(*answer.timings.sent_ms), *answer.timings.sent_ms);
    last = std::max(last.value_or(*answer.timings.answered_ms), *answer.timings.answered_ms);
  }
  if (!first) return std::nullopt;
  return *last - *first;
}

std::optional<double> skew_ms(const std::vector<Answer>& answers) {
  std::optional<double> first;
  std::optional<double> last;
  for (const Answer& answer : answers) {
    if (!answer.timings.sent_ms || !answer.timings.answered_ms) return std::nullopt;
    const double middle = (*answer.timings.sent_ms + *answer.timings.answered_ms) / 2;
    first = std::min(first.value_or(middle), middle);
    last = std::max(last.value_or(middle), middle);
  }
  if (!first) return std::nullopt;
  return *last - *first;
}

}  // namespace stillgate::hold
