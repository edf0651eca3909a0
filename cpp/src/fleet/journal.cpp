// Reading and writing the journal's files.
#include "journal.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "files/file.hpp"
#include "folders.hpp"
#include "model/numbers.hpp"

namespace stillgate::fleet {
namespace {

constexpr std::string_view suffix = ".hold";
constexpr std::string_view cutover_suffix = ".cutover";

Error failed(std::string_view what, const std::filesystem::path& path, const files::Fault& fault) {
  return {Errc::journal_failed,
          fmt::format("journal: cannot {} {}: {}; set $STILLGATE_STATE_DIR to use another folder",
                      what, path.string(), fault.why),
          {},
          {},
          {"journal"}};
}

Error failed(std::string_view what, const std::filesystem::path& path, int number) {
  return failed(what, path, files::Fault::of(number));
}

/// A rename or a removal is on the disk only once its folder is.
std::optional<Error> flush_folder(const std::filesystem::path& folder) {
  const files::File handle(folder, O_RDONLY | O_DIRECTORY);
  if (!handle.is_open()) return failed("flush", folder, handle.fault());
  if (!handle.flush()) return failed("flush", folder, errno);
  return std::nullopt;
}

std::filesystem::path file_of(const std::filesystem::path& folder, const std::string& id) {
  return folder / (id + std::string(suffix));
}

/// Not what others could have written.
files::Read<files::FileText> read_text(const std::filesystem::path& path) {
  auto file = files::read_file(path);
  if (!file) return file;
  std::string why = files::written_by_others(path, file->status, ::geteuid());
  if (!why.empty()) return {std::nullopt, {0, std::move(why)}};
  return file;
}

std::optional<hold::Record> read_record(const std::filesystem::path& path) {
  const auto file = read_text(path);
  if (!file) return std::nullopt;
  auto record = hold::decode(file->text);
  if (!record) return std::nullopt;
  return *std::move(record);
}

/// What others could have written is not believed. `folder` is one of the two in the state folder.
std::optional<Error> distrust(const std::filesystem::path& folder) {
  const auto state = folder.parent_path();
  if (const auto fault = check_state_folder(state); !fault.why.empty()) {
    return failed("use", state, fault);
  }
  if (const auto fault = check_private_folder(folder); !fault.why.empty()) {
    return failed("use", folder, fault);
  }
  return std::nullopt;
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

/// The file in which its writer has a record until it is complete.
std::filesystem::path aside_of(const std::filesystem::path& path) {
  auto aside = path;
  aside += fmt::format(".{}", ::getpid());
  return aside;
}

/// Of a writer that died: `ID.hold.PID`. One that lives in another PID namespace writes it again.
bool is_left_over(const std::filesystem::path& path) {
  if (path.stem().extension() != suffix) return false;
  const std::string pid = path.extension().string();
  const auto number = runtime_api::parse_number<pid_t>(std::string_view(pid).substr(1));
  return number && *number > 0 && ::kill(*number, 0) != 0 && errno == ESRCH;
}

void sweep(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::directory_iterator entry(folder, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    if (is_left_over(entry->path())) ::unlink(entry->path().c_str());
  }
}

/// The fault, with what could not be done.
std::pair<files::Fault, std::string_view> write_aside(const std::filesystem::path& path,
                                                      std::string_view text) {
  const auto aside = aside_of(path);
  {
    const files::File file(aside, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.is_open()) return {file.fault(), "create"};
    if (!file.write(text) || !file.flush()) {
      const int number = errno;
      ::unlink(aside.c_str());
      return {files::Fault::of(number), "write"};
    }
  }
  if (::rename(aside.c_str(), path.c_str()) == 0) return {};
  const int number = errno;
  ::unlink(aside.c_str());
  return {files::Fault::of(number), "rename"};
}

/// Returns only after it is on the disk.
std::optional<Error> write_text(const std::filesystem::path& path, std::string_view text) {
  const auto folder = path.parent_path();
  const auto state = folder.parent_path();
  if (const auto fault = make_state_folder(state); !fault.why.empty()) {
    return failed("use", state, fault);
  }
  if (const auto fault = make_private_folder(folder); !fault.why.empty()) {
    return failed("use", folder, fault);
  }
  auto [fault, what] = write_aside(path, text);
  // Somebody has taken it for a left-over.
  if (fault.number == ENOENT) std::tie(fault, what) = write_aside(path, text);
  if (!fault.why.empty()) return failed(what, aside_of(path), fault);
  return flush_folder(folder);
}

std::optional<Error> write_record(const std::filesystem::path& folder, const hold::Record& record) {
  return write_text(file_of(folder, record.id), hold::encode(record));
}

}  // namespace

Journal::Journal(const std::filesystem::path& folder)
    : holds_(folder / "holds"), ended_(folder / "ended"), cutovers_(folder / "cutovers") {}

Result<hold::CutoverRecord> Journal::load_cutover(const std::string& name) const {
  if (auto error = distrust(cutovers_)) return *std::move(error);
  const auto path = cutovers_ / (name + std::string(cutover_suffix));
  const auto file = read_text(path);
  if (!file && file.fault.is_missing()) return hold::CutoverRecord{name, {}};
  if (!file) return failed("read", path, file.fault);
  auto record = hold::decode_cutover(file->text);
  if (!record) return failed("read", path, files::Fault{0, "it is damaged; remove it"});
  return *std::move(record);
}

std::optional<Error> Journal::keep_cutover(const hold::CutoverRecord& record) const {
  const auto path = cutovers_ / (record.name + std::string(cutover_suffix));
  if (!record.rows.empty()) return write_text(path, hold::encode(record));
  if (::unlink(path.c_str()) == 0) return flush_folder(cutovers_);
  if (errno == ENOENT) return std::nullopt;
  return failed("remove", path, errno);
}

Journal::Loaded Journal::load() const {
  Loaded loaded;
  if (auto error = distrust(holds_)) {
    loaded.error = std::move(error);
    return loaded;
  }
  sweep(holds_);
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
    const auto file = read_text(entry->path());
    if (!file) {
      // Another process may have ended that hold since the folder was read.
      if (!file.fault.is_missing() && !loaded.error) {
        loaded.error = failed("read", entry->path(), file.fault);
      }
      continue;
    }
    auto record = hold::decode(file->text);
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

Journal::Found Journal::find(const std::string& id) const {
  const auto file = read_text(file_of(holds_, id));
  if (!file) return {std::nullopt, file.fault.is_missing()};
  auto record = hold::decode(file->text);
  if (!record) return {};
  return {*std::move(record), false};
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
  if (distrust(ended_)) return records;
  sweep(ended_);
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
