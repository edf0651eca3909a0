// Reading and writing the journal's files.
#include "journal.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "file.hpp"

namespace stillgate::fleet {
namespace {

constexpr std::string_view suffix = ".hold";

Error failed(std::string_view what, const std::filesystem::path& path, int number,
             std::string_view remark = "") {
  return {Errc::journal_failed,
          fmt::format("journal: cannot {} {}: {}{}; set $STILLGATE_STATE_DIR to use another folder",
                      what, path.string(), std::system_category().message(number), remark),
          {},
          {},
          {"journal"}};
}

/// A rename or a removal is on the disk only once its folder is.
std::optional<Error> flush_folder(const std::filesystem::path& folder) {
  const File handle(folder, O_RDONLY | O_DIRECTORY);
  if (!handle.is_open() || !handle.flush()) return failed("flush", folder, errno);
  return std::nullopt;
}

}  // namespace

Journal::Journal(const std::filesystem::path& folder) : holds_(folder / "holds") {}

Journal::Loaded Journal::load() const {
  Loaded loaded;
  std::error_code code;
  std::filesystem::directory_iterator entry(holds_, code);
  if (code) {
    if (code != std::errc::no_such_file_or_directory) {
      loaded.error = failed("read", holds_, code.value());
    }
    return loaded;
  }
  for (; entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    if (entry->path().extension() != suffix) continue;
    std::ifstream file(entry->path(), std::ios::binary);
    if (!file) {
      // Another process may have ended that hold since the folder was read.
      if (errno != ENOENT && !loaded.error) loaded.error = failed("read", entry->path(), errno);
      continue;
    }
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    auto record = hold::decode(text);
    if (record) {
      loaded.records.push_back(*std::move(record));
    } else if (!loaded.error) {
      loaded.error = record.error();
      loaded.error->message += fmt::format(" ({}); remove that file if its hold is not in effect",
                                           entry->path().string());
    }
  }
  return loaded;
}

std::optional<hold::Record> Journal::find(const std::string& id) const {
  std::ifstream file(holds_ / (id + std::string(suffix)), std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  auto record = hold::decode(text);
  if (!record) return std::nullopt;
  return *std::move(record);
}

std::optional<Error> Journal::keep(const hold::Record& record) const {
  const auto path = holds_ / (record.id + std::string(suffix));
  if (record.switches.empty()) {
    if (::unlink(path.c_str()) != 0) {
      if (errno == ENOENT) return std::nullopt;
      return failed("remove", path, errno);
    }
    return flush_folder(holds_);
  }
  if (const int number = make_state_folder(holds_.parent_path()); number != 0) {
    return failed("create", holds_.parent_path(), number);
  }
  if (const int number = make_private_folder(holds_); number != 0) {
    return failed("create", holds_, number,
                  number == EPERM ? " (it belongs to somebody else)" : "");
  }
  auto aside = path;
  aside += fmt::format(".{}", ::getpid());
  {
    const File file(aside, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.is_open()) return failed("create", aside, errno);
    if (!file.write(hold::encode(record)) || !file.flush()) {
      const int number = errno;
      ::unlink(aside.c_str());
      return failed("write", aside, number);
    }
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) {
    const int number = errno;
    ::unlink(aside.c_str());
    return failed("rename", aside, number);
  }
  return flush_folder(holds_);
}

}  // namespace stillgate::fleet
