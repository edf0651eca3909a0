// Reading configuration files, with those that they include.
#include <algorithm>

#include <glob.h>

#include <fmt/format.h>

#include "config.hpp"
#include "expansion.hpp"
#include "files/file.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr unsigned max_include_depth = 16;
// Files that include each other could otherwise multiply until the memory is full.
constexpr unsigned max_files = 1024;
constexpr std::string_view system_folder = "/etc/ssh/";

class Reader {
 public:
  Reader(const LocalContext& local, const Config::Loader& loader,
         std::vector<Directive>& directives)
      : local_(local), loader_(loader), directives_(directives) {}

  std::optional<Error> read(std::string_view text, const std::string& file, unsigned depth) {
    Place place{std::make_shared<const std::string>(file), 0};
    if (++files_ > max_files) return bad_config(place, "too many files are included");
    directives_.push_back({Keyword::file_begins, {}, {}, place});
    while (!text.empty()) {
      ++place.line;
      const std::size_t end = std::min(text.find('\n'), text.size());
      auto directive = understand(text.substr(0, end), place);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (!directive) return directive.error();
      if (!*directive) continue;
      if ((*directive)->keyword == Keyword::include) {
        if (auto error = include(**directive, depth)) return error;
      } else {
        directives_.push_back(**std::move(directive));
      }
    }
    directives_.push_back({Keyword::file_ends, {}, {}, place});
    return std::nullopt;
  }

 private:
  std::optional<Error> include(const Directive& directive, unsigned depth) {
    if (depth == max_include_depth) return bad_config(directive.place, "include: nested too deep");
    for (const auto& argument : directive.arguments) {
      const auto pattern = anchored(argument, directive.place);
      if (!pattern) return pattern.error();
      if (!loader_) continue;
      const auto sources = loader_(*pattern);
      if (!sources) {
        return bad_config(directive.place, fmt::format("include: {}", sources.error().message));
      }
      for (const auto& source : *sources) {
        if (auto error = read(source.text, source.file, depth + 1)) return error;
      }
    }
    return std::nullopt;
  }

  /// Of what depends on the host nothing is known while the files are read.
  Result<std::string> expanded(const std::string& argument, const Place& place) {
    for (std::size_t at = 0; (at = argument.find('%', at)) != std::string::npos; at += 2) {
      constexpr std::string_view of_the_host = "hnprkjC";
      const auto name = std::string_view(argument).substr(at + 1, 1);
      if (name.empty() || of_the_host.find(name) == std::string_view::npos) continue;
      return bad_config(place, fmt::format("include: %{} stands for something of a host, and the "
                                           "files are read once for all hosts; name the file, and "
                                           "write 'Host' or 'Match' lines into it",
                                           name));
    }
    const std::string& host = local_.local_host;
    return expand_text(argument,
                       {{'d', local_.home},
                        {'i', std::to_string(local_.uid)},
                        {'l', host},
                        {'L', host.substr(0, host.find('.'))},
                        {'u', local_.user}},
                       local_, place);
  }

  /// The file that includes decides where a relative path begins.
  Result<std::string> anchored(const std::string& argument, const Place& place) {
    const auto found = expanded(argument, place);
    if (!found) return found.error();
    const std::string& path = *found;
    if (path.starts_with('/')) return path;
    const bool system = place.file->starts_with(system_folder);
    if (path.starts_with('~')) {
      if (system) return bad_config(place, "include: ~ has no meaning in the system's files");
      return expand_home(path, local_, place);
    }
    return system ? std::string(system_folder) + path : local_.home + "/.ssh/" + path;
  }

  const LocalContext& local_;
  const Config::Loader& loader_;
  std::vector<Directive>& directives_;
  unsigned files_{0};
};

Error failed(const std::string& path, std::string_view why) {
  return {Errc::ssh_config, fmt::format("{}: {}", path, why)};
}

/// Whoever can write the configuration can run any command. nullopt: no such file.
Result<std::optional<std::string>> read_config(const std::string& path, unsigned uid) {
  auto read = files::read_file(path);
  if (read.fault.is_missing()) return std::optional<std::string>();
  if (!read) return failed(path, read.fault.why);
  const std::string distrust = files::written_by_others(path, read->status, uid);
  if (!distrust.empty()) return failed(path, distrust);
  return std::optional(std::move(read->text));
}

Result<std::vector<Config::Source>> read_pattern(const std::string& pattern, unsigned uid) {
  glob_t found{};
  const int code = ::glob(pattern.c_str(), 0, nullptr, &found);
  const std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (code != 0 && code != GLOB_NOMATCH) return failed(pattern, "cannot be read");
  std::vector<Config::Source> sources;
  for (const auto& path : paths) {
    auto text = read_config(path, uid);
    if (!text) return text.error();
    if (*text) sources.push_back({path, **std::move(text)});
  }
  return sources;
}

}  // namespace

Result<Config> Config::parse(std::string_view text, const std::string& file,
                             const LocalContext& local, const Loader& loader) {
  Config config;
  Reader reader(local, loader, config.directives_);
  if (auto error = reader.read(text, file, 0)) return *std::move(error);
  return config;
}

Result<Config> Config::load(const std::vector<std::filesystem::path>& files,
                            const LocalContext& local) {
  const Loader loader = [&](const std::string& pattern) {
    return read_pattern(pattern, local.uid);
  };
  Config config;
  Reader reader(local, loader, config.directives_);
  for (const auto& file : files) {
    const auto text = read_config(file.string(), local.uid);
    if (!text) return text.error();
    if (!*text) continue;
    if (auto error = reader.read(**text, file.string(), 0)) return *std::move(error);
  }
  return config;
}

}  // namespace stillgate::transport::ssh
