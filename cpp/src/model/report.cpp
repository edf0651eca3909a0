// The names of findings, verdicts, levels, methods and expiries, by their tables.
#include <stillgate/report.hpp>

#include <array>
#include <utility>

namespace stillgate {
namespace {

struct FindingKind {
  std::string_view name;
  Level level;
  Level worst;
};

// In the order of the enumerations.
constexpr std::array findings{
#define STILLGATE_FINDING(code, level, worst, meaning) \
  FindingKind{#code, Level::level, Level::worst},
#include <stillgate/findings.def>
#undef STILLGATE_FINDING
};
constexpr std::array verdicts{
#define STILLGATE_VERDICT(verdict, meaning) std::string_view(#verdict),
#include <stillgate/words.def>
};
constexpr std::array levels{
#define STILLGATE_LEVEL(level, meaning) std::string_view(#level),
#include <stillgate/words.def>
};
constexpr std::array expiries{
#define STILLGATE_EXPIRY(expiry, meaning) std::string_view(#expiry),
#include <stillgate/words.def>
};

constexpr std::array reload_choices{
#define STILLGATE_ON_RELOAD(choice, meaning) std::string_view(#choice),
#include <stillgate/words.def>
};

constexpr std::array changes{
#define STILLGATE_CHANGE(change, meaning) std::string_view(#change),
#include <stillgate/words.def>
};
constexpr std::array cutovers{
#define STILLGATE_CUTOVER(state, meaning) std::string_view(#state),
#include <stillgate/words.def>
};

constexpr std::array ends{
#define STILLGATE_END(end, meaning) std::string_view(#end),
#include <stillgate/words.def>
};

}  // namespace

std::string_view name(FindingCode code) noexcept {
  return findings.at(static_cast<std::size_t>(code)).name;
}

std::string_view name(Verdict verdict) noexcept {
  return verdicts.at(static_cast<std::size_t>(verdict));
}

std::string_view name(Level level) noexcept { return levels.at(static_cast<std::size_t>(level)); }

std::string_view name(Expiry expiry) noexcept {
  return expiries.at(static_cast<std::size_t>(expiry));
}

std::string_view name(OnReload choice) noexcept {
  return reload_choices.at(static_cast<std::size_t>(choice));
}

std::optional<OnReload> on_reload(std::string_view text) noexcept {
#define STILLGATE_ON_RELOAD(choice, meaning) \
  if (text == #choice) return OnReload::choice;
#include <stillgate/words.def>
  return std::nullopt;
}

std::string_view name(ChangeState state) noexcept {
  return changes.at(static_cast<std::size_t>(state));
}

std::string_view name(CutoverState state) noexcept {
  return cutovers.at(static_cast<std::size_t>(state));
}

std::string_view name(End end) noexcept { return ends.at(static_cast<std::size_t>(end)); }

std::optional<End> end_named(std::string_view text) noexcept {
#define STILLGATE_END(end, meaning) \
  if (text == #end) return End::end;
#include <stillgate/words.def>
  return std::nullopt;
}

std::optional<Method> method(std::string_view text) noexcept {
#define STILLGATE_METHOD(method, name, meaning) \
  if (text == (name)) return Method::method;
#include <stillgate/words.def>
  return std::nullopt;
}

std::optional<Expiry> expiry(std::string_view text) noexcept {
#define STILLGATE_EXPIRY(expiry, meaning) \
  if (text == #expiry) return Expiry::expiry;
#include <stillgate/words.def>
  return std::nullopt;
}

Finding Finding::of(FindingCode code, std::string message, bool at_worst) {
  const FindingKind& kind = findings.at(static_cast<std::size_t>(code));
  return {std::string(kind.name), at_worst ? kind.worst : kind.level, std::move(message)};
}

}  // namespace stillgate
