// The limits of each option.
#include "check_options.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "hold/cutover/cutover_rows.hpp"
#include "runtime_api/command.hpp"

namespace stillgate::fleet {
namespace {

using std::chrono::milliseconds;

/// Walks the options of a struct, and keeps the first that is outside its limits.
struct Bounds {
  std::optional<Error>* found;

  template <class T>
  void operator()(std::string_view /*name*/, const T& /*value*/) const {}

  void operator()(std::string_view name, milliseconds value, milliseconds least,
                  milliseconds most) const {
    if (value >= least && value <= most) return;
    const auto seconds = [](milliseconds time) {
      return std::chrono::duration<double>(time).count();
    };
    refuse(Errc::bad_option, name,
           fmt::format("must be from {:g} to {:g} seconds", seconds(least), seconds(most)));
  }

  void operator()(std::string_view name, std::int64_t value, std::int64_t least,
                  std::int64_t most) const {
    if (value >= least && value <= most) return;
    refuse(Errc::bad_number, name, fmt::format("{} is outside {} to {}", value, least, most));
  }

  void operator()(std::string_view name, const std::optional<std::int64_t>& value,
                  std::int64_t least, std::int64_t most) const {
    if (value) (*this)(name, *value, least, most);
  }

  void operator()(std::string_view name, std::size_t value, std::size_t least,
                  std::size_t most) const {
    if (value >= least && value <= most) return;
    refuse(Errc::bad_option, name, fmt::format("must be from {} to {}", least, most));
  }

  void operator()(std::string_view name, const std::string& text, std::size_t most) const {
    if (text.size() <= most) return;
    refuse(Errc::bad_option, name, fmt::format("has more than {} bytes", most));
  }

 private:
  void refuse(Errc code, std::string_view name, std::string message) const {
    if (!*found) *found = input(code, name, std::move(message));
  }
};

template <class Options>
std::optional<Error> check_bounds(const Options& options) {
  std::optional<Error> found;
  Options::each(options, Bounds{&found});
  return found;
}

/// Whoever overrules the holder says why.
std::optional<Error> check_force(bool force, const std::string& reason) {
  if (!force || !reason.empty()) return std::nullopt;
  return input(Errc::bad_option, "reason", "required to overrule the holder (force)");
}

/// It names a file.
std::optional<Error> check_cutover_name(const std::string& name) {
  constexpr std::size_t longest = 64;
  const bool fine = !name.empty() && name.size() <= longest && name.front() != '.' &&
                    std::ranges::all_of(name, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                    });
  if (fine) return std::nullopt;
  return input(Errc::bad_name, "cutover",
               fmt::format("a name has at most {} letters, digits, '-', '_', '.'", longest));
}

std::optional<Error> check_if_any(const Cutover& cutover) {
  if (cutover.name.empty() && cutover.empty()) return std::nullopt;
  return check_cutover(cutover, false);
}

}  // namespace

Error input(Errc code, std::string_view field, std::string message) {
  return {code, fmt::format("{}: {}", field, message), {}, {}, std::string(field)};
}

std::optional<Error> check_options(const FleetOptions& options) {
  if (auto error = check_bounds(options)) return error;
  if (options.events.on_event.find('\0') != std::string::npos) {
    return input(Errc::bad_option, "on_event", "contains a NUL byte");
  }
  return std::nullopt;
}

std::optional<Error> check_frontends(const std::vector<std::string>& frontends) {
  if (frontends.empty()) return input(Errc::bad_name, "frontend", "name at least one");
  std::set<std::string_view> seen;
  for (const std::string& name : frontends) {
    if (auto error = runtime_api::check_frontend_name(name)) return error;
    if (!seen.insert(name).second) {
      return input(Errc::bad_name, "frontend", fmt::format("'{}' is named twice", name));
    }
  }
  return std::nullopt;
}

std::optional<Error> check_suspend(const SuspendOptions& options) {
  if (auto error = check_bounds(options)) return error;
  if (auto error = check_if_any(options.cutover)) return error;
  if (options.ready_first.count() > 0 && options.cutover.name.empty()) {
    return input(Errc::bad_option, "ready_first", "goes with a cutover");
  }
  if (options.method == Method::maxconn && options.on_expiry != Expiry::release) {
    return input(Errc::bad_option, "on_expiry",
                 "the method maxconn cannot reject; only the gate can");
  }
  if (options.method == Method::maxconn && options.on_reload != OnReload::release) {
    return input(Errc::bad_option, "on_reload",
                 "by the method maxconn nobody waits in a worker; only the gate can reject");
  }
  if (options.method == Method::maxconn && options.max_waiting > 0) {
    return input(Errc::bad_option, "max_waiting",
                 "the method maxconn cannot count waiting requests; only the gate can");
  }
  return std::nullopt;
}

std::optional<Error> check_cutover(const Cutover& cutover, bool back) {
  if (auto error = check_cutover_name(cutover.name)) return error;
  if (back) return std::nullopt;
  if (cutover.empty()) {
    return input(Errc::bad_option, "cutover", "names no server, no weight and no entry of a map");
  }
  for (const hold::CutoverRow& row : hold::changes_of(cutover, "")) {
    if (const auto command = hold::command_of(row, row.after); !command) return command.error();
  }
  return std::nullopt;
}

std::optional<Error> check_cutover(const CutoverOptions& options) {
  if (auto error = check_bounds(options)) return error;
  if (options.ready_first.count() > 0 && options.back) {
    return input(Errc::bad_option, "ready_first", "does not go with back");
  }
  return check_cutover(options.cutover, options.back);
}

std::optional<Error> check_resume(const ResumeOptions& options) {
  if (auto error = check_bounds(options)) return error;
  if (auto error = check_if_any(options.cutover)) return error;
  return check_force(options.force, options.reason);
}

std::optional<Error> check_extend(const ExtendOptions& options) {
  if (auto error = check_bounds(options)) return error;
  return check_force(options.force, options.reason);
}

}  // namespace stillgate::fleet
