// The names of verdicts and levels in the JSON interface.
#include <stillgate/report.hpp>

namespace stillgate {

std::string_view name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::unchanged:
      return "unchanged";
    case Verdict::held:
      return "held";
    case Verdict::reverted:
      return "reverted";
    case Verdict::resumed:
      return "resumed";
    case Verdict::open:
      return "open";
    case Verdict::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view name(Level level) noexcept {
  switch (level) {
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::refusal:
      return "refusal";
  }
  return "refusal";
}

}  // namespace stillgate
