// Which lines of the configuration hold for a destination.
#include "config.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "pattern.hpp"
#include "resolve.hpp"

namespace stillgate::transport::ssh {
namespace {

/// Walks over the configuration: once, or twice where a `Match final` asks for it.
class Selection {
 public:
  Selection(const Destination& destination, const LocalContext& local)
      : destination_(destination), local_(local), host_(destination.host) {}

  std::optional<Error> walk(const std::vector<Directive>& directives) {
    std::vector<bool> outer;
    bool active = true;
    for (const auto& directive : directives) {
      switch (directive.keyword) {
        case Keyword::file_begins:
          outer.push_back(active);
          break;
        case Keyword::file_ends:
          // A Host or Match in an included file does not reach beyond it.
          active = outer.back();
          outer.pop_back();
          break;
        case Keyword::host:
          active = outer.back() && matches_any(host_, directive.arguments, Case::exact);
          break;
        case Keyword::match: {
          const auto matched = outer.back() ? match(directive) : Result<bool>(false);
          if (!matched) return matched.error();
          active = *matched;
          break;
        }
        default:
          if (active) lines_.take(directive);
      }
    }
    return std::nullopt;
  }

  /// The second walk knows only the host's real name, and can no longer change it.
  std::optional<Error> walk_finally(const std::vector<Directive>& directives,
                                    const std::string& name) {
    host_ = name;
    final_ = true;
    return walk(directives);
  }

  [[nodiscard]] const EffectiveLines& lines() const { return lines_; }

 private:
  Result<bool> match(const Directive& directive) {
    const Criterion* undecided = nullptr;
    for (const auto& criterion : directive.criteria) {
      const auto result = evaluate(criterion);
      if (!result) return result.error();
      if (!*result) {
        undecided = &criterion;
      } else if (**result == criterion.negated) {
        return false;
      }
    }
    if (undecided == nullptr) return true;
    return bad_config(directive.place,
                      fmt::format("match: '{}' cannot be evaluated here, so it is unknown whether "
                                  "the line applies to '{}'; remove that criterion, or exclude "
                                  "this host by another one ('host') on that line",
                                  undecided->name, destination_.host));
  }

  /// nullopt inside: only ssh itself could evaluate it.
  Result<std::optional<bool>> evaluate(const Criterion& criterion) {
    using Answer = std::optional<bool>;
    if (criterion.name == "all") return Answer(true);
    if (criterion.name == "final" || criterion.name == "canonical") return Answer(final_);
    if (criterion.name == "originalhost") {
      return Answer(matches_list(destination_.host, criterion.argument, Case::ignored));
    }
    if (criterion.name == "host") {
      const auto host = final_ ? Result<std::string>(host_) : host_name(lines_, destination_);
      if (!host) return host.error();
      return Answer(matches_list(*host, criterion.argument, Case::ignored));
    }
    if (criterion.name == "user") {
      return Answer(
          matches_list(remote_user(lines_, destination_, local_), criterion.argument, Case::exact));
    }
    if (criterion.name == "localuser") {
      return Answer(matches_list(local_.user, criterion.argument, Case::exact));
    }
    return Answer();
  }

  const Destination& destination_;
  const LocalContext& local_;
  std::string host_;
  EffectiveLines lines_;
  bool final_{false};
};

/// As with ssh, the word is enough, whether or not its line could apply to the host.
bool asks_for_final(const std::vector<Directive>& directives) {
  return std::any_of(directives.begin(), directives.end(), [](const Directive& directive) {
    return std::any_of(directive.criteria.begin(), directive.criteria.end(),
                       [](const Criterion& criterion) { return criterion.name == "final"; });
  });
}

}  // namespace

Result<Settings> Config::settings(const Destination& destination, const LocalContext& local) const {
  Selection selection(destination, local);
  if (auto error = selection.walk(directives_)) return *std::move(error);
  auto name = host_name(selection.lines(), destination);
  if (!name) return name.error();
  if (asks_for_final(directives_)) {
    if (auto error = selection.walk_finally(directives_, *name)) return *std::move(error);
  }
  return resolve_settings(selection.lines(), *std::move(name), destination, local);
}

}  // namespace stillgate::transport::ssh
