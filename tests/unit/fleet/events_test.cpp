// The event log: its file, and the command that is started for each event.
#include "fleet/events.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stillgate::fleet {
namespace {

using std::chrono::steady_clock;

Event event(const std::string& message) {
  Event made;
  made.kind = EventKind::held;
  made.message = message;
  return made;
}

class EventsTest : public testing::Test {
 protected:
  EventsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stillgate-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    state_ = folder_ / "above" / "state";
  }
  ~EventsTest() override { std::filesystem::remove_all(folder_); }
  EventsTest(const EventsTest&) = delete;
  EventsTest& operator=(const EventsTest&) = delete;

  [[nodiscard]] std::filesystem::path history() const { return state_ / "history.jsonl"; }

  static std::vector<std::string> lines(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) {
      if (!line.empty()) all.push_back(line);
    }
    return all;
  }

  /// The file that a command renames to this name when it is whole.
  static std::string wait_for(const std::filesystem::path& path) {
    const auto end = steady_clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(path) && steady_clock::now() < end) std::this_thread::yield();
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// A command whose output is there whole, or not at all, under `name`.
  [[nodiscard]] std::string into(const std::string& name, const std::string& command) const {
    const std::string path = (folder_ / name).string();
    return "{ " + command + "; } > " + path + ".part 2>&1; mv " + path + ".part " + path;
  }

  std::filesystem::path folder_;
  std::filesystem::path state_;
};

TEST_F(EventsTest, WritesALinePerEventForItsOwnerAlone) {
  EventLog log(state_);
  log.report(event("one"));
  log.report(event("two"));
  const auto all = lines(history());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(all[0].find(R"("message":"one")"), std::string::npos);
  EXPECT_NE(all[1].find(R"("seq":2)"), std::string::npos);
  EXPECT_NE(all[1].find("\"pid\":" + std::to_string(::getpid())), std::string::npos);
  using std::filesystem::perms;
  const auto mode = std::filesystem::status(history()).permissions();
  EXPECT_EQ(mode, perms::owner_read | perms::owner_write);
  EXPECT_EQ(std::filesystem::status(state_).permissions(), perms::owner_all);
}

TEST_F(EventsTest, TheCallerIsTold) {
  std::vector<std::string> told;
  EventOptions options;
  options.on_line = [&told](const std::string& line) { told.push_back(line); };
  EventLog(state_, options).report(event("x"));
  EXPECT_EQ(told, lines(history()));
}

TEST_F(EventsTest, NothingCanFailTheCall) {
  // A file in the folder's place, because root may write into any folder.
  std::ofstream(folder_ / "file") << "x";
  EventOptions options;
  bool told = false;
  options.on_line = [&told](const std::string& /*line*/) {
    told = true;
    throw std::runtime_error("the listener's own trouble");
  };
  EventLog(folder_ / "file", options).report(event("x"));
  EXPECT_TRUE(told);
}

TEST_F(EventsTest, RotatesAboveItsSize) {
  EventLog log(state_);
  log.report(event("first"));
  std::filesystem::resize_file(history(), EventLog::largest_file);
  log.report(event("second"));
  EXPECT_EQ(lines(history()).size(), 1U);
  const auto aside = state_ / "history.jsonl.1";
  EXPECT_EQ(std::filesystem::file_size(aside), static_cast<std::size_t>(EventLog::largest_file));
}

TEST_F(EventsTest, WritersAtOnceLoseNothingOverARotation) {
  constexpr int writers = 8;
  constexpr int each = 100;
  EventLog(state_).report(event("first"));
  std::filesystem::resize_file(history(), EventLog::largest_file - 20'000);
  std::ofstream(history(), std::ios::app) << "\n";
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([this] {
        EventLog log(state_);
        for (int n = 0; n < each; ++n) log.report(event(std::string(200, 'x')));
      });
    }
  }
  const auto before = lines(state_ / "history.jsonl.1");
  const auto after = lines(history());
  EXPECT_EQ(before.size() - 2 + after.size(), static_cast<std::size_t>(writers * each));
  EXPECT_EQ(after.back().back(), '}');
}

TEST_F(EventsTest, ALineThatWasCutShortEndsThere) {
  EventLog log(state_);
  log.report(event("whole"));
  std::ofstream(history(), std::ios::app) << R"({"schema":1,"ev)";
  log.report(event("next"));
  const auto all = lines(history());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_NE(all[2].find(R"("message":"next")"), std::string::npos);
}

TEST_F(EventsTest, TheCommandGetsTheLineAndTheKind) {
  EventOptions options;
  options.on_event = into("told", "echo $STILLGATE_EVENT; cat");
  EventLog(state_, options).report(event("hello"));
  EXPECT_EQ(wait_for(folder_ / "told"), "held\n" + lines(history()).at(0) + "\n");
}

TEST_F(EventsTest, TheCommandGetsItsFormat) {
  EventOptions options;
  options.on_event = into("told", "cat");
  options.format = EventFormat::journald;
  EventLog(state_, options).report(event("hello"));
  EXPECT_EQ(wait_for(folder_ / "told").substr(0, 14), "MESSAGE=hello\n");
  EXPECT_EQ(lines(history()).at(0)[0], '{');
}

TEST_F(EventsTest, ALongMessageIsCut) {
  EventOptions options;
  options.on_event = into("told", "wc -c");
  EventLog(state_, options).report(event(std::string(1'000'000, 'x')));
  EXPECT_LT(std::stoi(wait_for(folder_ / "told")), 9000);
}

TEST_F(EventsTest, TheCommandHasNoFileOfOurs) {
  // Left open for children, as a careless library would; a number that no shell uses.
  constexpr int careless = 57;
  ASSERT_EQ(::dup2(STDIN_FILENO, careless), careless);
  EventOptions options;
  options.on_event = into("files", "for fd in 0 1 2 57; do test -e /proc/$$/fd/$fd; echo $?; done");
  EventLog(state_, options).report(event("x"));
  EXPECT_EQ(wait_for(folder_ / "files"), "0\n0\n0\n1\n");
  ::close(careless);
}

TEST_F(EventsTest, TheCommandHasASessionOfItsOwnAndAWholeSigpipe) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  EventOptions options;
  options.on_event = into("told", "cut -d' ' -f6 /proc/$$/stat; grep SigIgn /proc/$$/status");
  EventLog(state_, options).report(event("x"));
  const std::string told = wait_for(folder_ / "told");
  std::signal(SIGPIPE, before);
  EXPECT_NE(std::stoi(told), ::getsid(0));
  const auto ignored = std::stoull(told.substr(told.find("SigIgn:") + 7), nullptr, 16);
  EXPECT_EQ(ignored & (1ULL << (SIGPIPE - 1)), 0U) << told;
}

TEST_F(EventsTest, ACommandThatHangsDelaysNothingAndLeavesNoChild) {
  EventOptions options;
  options.on_event = into("pid", "echo $$") + "; exec tail -f /dev/null";
  EventLog(state_, options).report(event("x"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  const pid_t hanging = std::stoi(wait_for(folder_ / "pid"));
  EXPECT_EQ(::kill(hanging, SIGKILL), 0);
}

TEST_F(EventsTest, ACommandThatFailsIsNobodysBusiness) {
  EventOptions options;
  options.on_event = "exit 3";
  EventLog log(state_, options);
  log.report(event("x"));
  log.report(event("y"));
  EXPECT_EQ(lines(history()).size(), 2U);
}

}  // namespace
}  // namespace stillgate::fleet
