// Reading and writing the journal's files.
#include "journal.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

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

std::filesystem::path file_of(const std::filesystem::path& folder, const std::string& id) {
  return folder / (id + std::string(suffix));
}

std::optional<hold::Record> read_record(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  auto record = hold::decode(text);
  if (!record) return std::nullopt;
  return *std::move(record);
}

/// Nothing where the folder cannot be read.
std::vector<std::filesystem::path> record_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code code;
  std::filesystem::directory_iterator entry(folder, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    if (entry->path().extension() == suffix) found.push_back(entry->path());
  }
  return found;
}

/// Makes room for one more.
void forget_oldest(const std::filesystem::path& folder) {
  using Clock = std::filesystem::file_time_type::clock;
  std::vector<std::pair<Clock::time_point, std::filesystem::path>> aged;
  for (auto& path : record_files(folder)) {
    std::error_code code;
    const auto written = std::filesystem::last_write_time(path, code);
    if (!code) aged.emplace_back(written, std::move(path));
  }
  std::sort(aged.begin(), aged.end());
  const auto now = Clock::now();
  for (std::size_t i = 0; i < aged.size(); ++i) {
    const bool too_many = aged.size() - i >= Journal::most_ended;
    if (!too_many && now - aged[i].first < Journal::ended_kept_for) return;
    std::error_code ignored;
    std::filesystem::remove(aged[i].second, ignored);
  }
}

/// Returns only after it is on the disk.
std::optional<Error> write_record(const std::filesystem::path& folder, const hold::Record& record) {
  const auto path = file_of(folder, record.id);
  if (const int number = make_state_folder(folder.parent_path()); number != 0) {
    return failed("create", folder.parent_path(), number);
  }
  if (const int number = make_private_folder(folder); number != 0) {
    return failed("create", folder, number,
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
  return flush_folder(folder);
}

}  // namespace

Journal::Journal(const std::filesystem::path& folder)
    : holds_(folder / "holds"), ended_(folder / "ended") {}

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
  return read_record(file_of(holds_, id));
}

std::optional<Error> Journal::keep(const hold::Record& record) const {
  if (record.switches.empty()) {
    const auto path = file_of(holds_, record.id);
    if (::unlink(path.c_str()) != 0) {
      if (errno == ENOENT) return std::nullopt;
      return failed("remove", path, errno);
    }
    return flush_folder(holds_);
  }
  return write_record(holds_, record);
}

std::vector<hold::Record> Journal::load_ended() const {
  std::vector<hold::Record> records;
  for (const auto& path : record_files(ended_)) {
    auto record = read_record(path);
    if (record && record->end) records.push_back(*std::move(record));
  }
  return records;
}

std::optional<Error> Journal::keep_ended(const hold::Record& over) const {
  hold::Record record = over;
  if (const auto before = read_record(file_of(ended_, over.id))) {
    for (const hold::HeldSwitch& held : before->switches) {
      if (record.find(held.endpoint, held.frontend) == nullptr) record.switches.push_back(held);
    }
    record.end->told = record.end->told || (before->end && before->end->told);
  }
  forget_oldest(ended_);
  return write_record(ended_, record);
}

/// In this order: whoever dies in between leaves it in both.
std::optional<Error> Journal::retire(const hold::Parted& parted) const {
  if (auto error = keep_ended(parted.over)) return error;
  if (!parted.left.switches.empty()) return keep(parted.left);
  if (::unlink(file_of(holds_, parted.left.id).c_str()) == 0) return flush_folder(holds_);
  if (errno != ENOENT) return failed("remove", file_of(holds_, parted.left.id), errno);
  ::unlink(file_of(ended_, parted.over.id).c_str());
  return std::nullopt;
}

}  // namespace stillgate::fleet
