// The journal's files: kept, read, removed, and what a broken folder gives.
#include "fleet/journal.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fleet/events.hpp"

namespace stillgate::fleet {
namespace {

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stillgate-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~JournalTest() override { std::filesystem::remove_all(folder_); }
  JournalTest(const JournalTest&) = delete;
  JournalTest& operator=(const JournalTest&) = delete;

  static hold::Record record(const std::string& id) {
    hold::Record made;
    made.id = id;
    made.owner = "a@b";
    made.switches = {{"unix:///a", "f", 7}};
    return made;
  }

  std::filesystem::path folder_;
};

TEST_F(JournalTest, EmptyWhereNothingWasKept) {
  const Journal journal(folder_ / "none");
  EXPECT_TRUE(journal.load().records.empty());
  EXPECT_FALSE(journal.load().error);
}

/// `ID.hold.PID`, in which a writer has a record until it is complete.
TEST_F(JournalTest, WhatADeadWriterLeftIsSwept) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.keep(record("one")));
  hold::Record two = record("two");
  two.end = hold::RecordEnd{};
  EXPECT_FALSE(journal.keep_ended(two));
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);
  for (const char* folder : {"holds", "ended"}) {
    for (const auto& last : {std::to_string(dead), std::to_string(::getpid()), std::string("x")}) {
      std::ofstream(folder_ / folder / ("three.hold." + last)) << "half a rec";
    }
    (void)journal.load();
    (void)journal.load_ended();
    EXPECT_FALSE(exists(folder_ / folder / ("three.hold." + std::to_string(dead))));
    EXPECT_TRUE(exists(folder_ / folder / ("three.hold." + std::to_string(::getpid()))));
    EXPECT_TRUE(exists(folder_ / folder / "three.hold.x"));
  }
  EXPECT_EQ(journal.load().records.size(), 1U);
  EXPECT_EQ(journal.load_ended().size(), 1U);
}

TEST_F(JournalTest, KeepsReadsAndRemoves) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.keep(record("one")));
  EXPECT_FALSE(journal.keep(record("two")));
  auto loaded = Journal(folder_).load();
  EXPECT_FALSE(loaded.error);
  ASSERT_EQ(loaded.records.size(), 2U);
  hold::Record changed = record("one");
  changed.switches[0].limit_before = 9;
  EXPECT_FALSE(journal.keep(changed));
  hold::Record over = record("two");
  over.switches.clear();
  EXPECT_FALSE(journal.keep(over));
  EXPECT_FALSE(journal.keep(over));  // removing twice is well
  loaded = journal.load();
  ASSERT_EQ(loaded.records.size(), 1U);
  EXPECT_EQ(loaded.records[0], changed);
  const auto mode = std::filesystem::status(folder_ / "holds" / "one.hold").permissions();
  EXPECT_EQ(mode & std::filesystem::perms::others_all, std::filesystem::perms::none);
}

constexpr uid_t nobody = 65534;

hold::Parted over(hold::Record record) {
  hold::Parted parted{record, std::move(record)};
  parted.left.switches.clear();
  parted.over.end =
      hold::RecordEnd{End::expired, WallTime(std::chrono::seconds(7)), "guard", false};
  return parted;
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

unsigned mode_of(const std::filesystem::path& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0U;
}

TEST_F(JournalTest, OnlyItsOwnerMayReadWhateverTheUmask) {
  for (const mode_t mask : {0000U, 0022U, 0777U}) {
    const Umask given(mask);
    const auto home = folder_ / std::to_string(mask) / "between" / "stillgate";
    EXPECT_FALSE(Journal(home).keep(record("one")));
    EventLog(home, {}).report(Event{});
    for (const auto& folder : {home.parent_path(), home, home / "holds"}) {
      EXPECT_EQ(mode_of(folder), 0700U) << folder;
    }
    EXPECT_EQ(mode_of(home / "holds" / "one.hold"), 0600U);
    EXPECT_EQ(mode_of(home / "history.jsonl"), 0600U);
  }
}

TEST_F(JournalTest, OthersLoseTheRightToWriteToItsFolders) {
  EXPECT_FALSE(Journal(folder_).keep(record("one")));
  std::filesystem::permissions(folder_, std::filesystem::perms::all);
  std::filesystem::permissions(folder_ / "holds", std::filesystem::perms::all);
  EXPECT_FALSE(Journal(folder_).keep(record("two")));
  EXPECT_EQ(mode_of(folder_), 0755U);
  EXPECT_EQ(mode_of(folder_ / "holds"), 0755U);
}

TEST_F(JournalTest, AFolderThatOthersCanWriteIsRefusedAsItIs) {
  EXPECT_FALSE(Journal(folder_).keep(record("one")));
  std::ofstream(folder_ / "somebody else's") << "text";
  ASSERT_EQ(::chmod(folder_.c_str(), 0777), 0);
  const auto error = Journal(folder_).keep(record("two"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::journal_failed);
  EXPECT_NE(error->message.find("mode 0777); if you trust what is in it: chmod go-w '" +
                                folder_.string() + "'"),
            std::string::npos)
      << error->message;
  const auto loaded = Journal(folder_).load();
  EXPECT_TRUE(loaded.records.empty());
  EXPECT_EQ(loaded.error, error);
  EXPECT_EQ(mode_of(folder_), 0777U);
}

TEST_F(JournalTest, InASharedFolderWithTheStickyBitItsOwnAreItsOwn) {
  std::ofstream(folder_ / "somebody else's") << "text";
  ASSERT_EQ(::chmod(folder_.c_str(), 01777), 0);
  EXPECT_FALSE(Journal(folder_).keep(record("one")));
  EXPECT_EQ(Journal(folder_).load().records.size(), 1U);
  EXPECT_EQ(mode_of(folder_), 01777U);
  EXPECT_EQ(mode_of(folder_ / "holds"), 0700U);
}

TEST_F(JournalTest, RecordsThatSomebodyElseWroteAreNotBelieved) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  EXPECT_FALSE(Journal(folder_).keep(record("one")));
  ASSERT_EQ(::chown((folder_ / "holds" / "one.hold").c_str(), nobody, nobody), 0);
  const auto loaded = Journal(folder_).load();
  EXPECT_TRUE(loaded.records.empty());
  ASSERT_TRUE(loaded.error);
  EXPECT_NE(loaded.error->message.find("one.hold: others can write it"), std::string::npos)
      << loaded.error->message;
}

/// What is in the place of a record, and must neither be waited for nor swallowed.
void put_in_its_place(const std::filesystem::path& path, const std::string& kind) {
  std::filesystem::remove(path);
  if (kind == "FIFO") {
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  } else if (kind == "device") {
    std::filesystem::create_symlink("/dev/zero", path);
  } else if (kind == "folder") {
    std::filesystem::create_directory(path);
  } else {
    std::ofstream(path) << "x";
    std::filesystem::resize_file(path, std::uintmax_t{2} << 30U);
  }
}

TEST_F(JournalTest, NeitherAFifoNorADeviceNorAHugeFileIsWaitedFor) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.keep(record("good")));
  EXPECT_FALSE(journal.keep_ended(over(record("good")).over));
  for (const std::string kind : {"FIFO", "device", "folder", "huge"}) {
    for (const char* place : {"holds", "ended"}) {
      const auto path = folder_ / place / (kind + ".hold");
      put_in_its_place(path, kind);
      EXPECT_EQ(journal.load_ended().size(), 1U) << path;
      const auto loaded = journal.load();
      EXPECT_EQ(loaded.records.size(), 1U) << path;
      EXPECT_EQ(loaded.error.has_value(), place == std::string("holds")) << path;
      if (loaded.error) {
        EXPECT_EQ(loaded.error->code, Errc::journal_failed);
        EXPECT_NE(loaded.error->message.find(path.string()), std::string::npos);
        EXPECT_NE(loaded.error->message.find(kind == "huge" ? "larger than" : kind),
                  std::string::npos)
            << loaded.error->message;
      }
      std::filesystem::remove_all(path);
    }
  }
}

TEST_F(JournalTest, ARecordThatCannotBeReadIsNotOneThatWasTakenAway) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.keep(record("one")));
  EXPECT_TRUE(journal.find("one").record);
  for (const std::string kind : {"FIFO", "device", "folder", "huge"}) {
    put_in_its_place(folder_ / "holds" / "one.hold", kind);
    EXPECT_FALSE(journal.find("one").record) << kind;
    EXPECT_FALSE(journal.find("one").is_missing) << kind;
    std::filesystem::remove_all(folder_ / "holds" / "one.hold");
  }
  EXPECT_TRUE(journal.find("one").is_missing);
}

TEST_F(JournalTest, AHistoryThatIsAFifoIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo((folder_ / "history.jsonl").c_str(), 0600), 0);
  // As many as a pipe would hold, and more.
  for (int i = 0; i < 1000; ++i) EventLog(folder_, {}).report(Event{});
}

TEST_F(JournalTest, AFolderOfSomebodyElseIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  std::filesystem::create_directory(folder_ / "holds");
  ASSERT_EQ(::chown((folder_ / "holds").c_str(), nobody, nobody), 0);
  const auto error = Journal(folder_).keep(record("one"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::journal_failed);
  EXPECT_NE(error->message.find("others can write it (owner "), std::string::npos)
      << error->message;
}

TEST_F(JournalTest, ALinkIsNoFolderOfOurs) {
  std::filesystem::create_directory(folder_ / "elsewhere");
  std::filesystem::create_symlink(folder_ / "elsewhere", folder_ / "holds");
  EXPECT_TRUE(Journal(folder_).keep(record("one")));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "elsewhere"));
}

TEST_F(JournalTest, ABrokenFileIsToldAndTheOthersCount) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.keep(record("good")));
  std::ofstream(folder_ / "holds" / "bad.hold") << "stillgate-hold 1\nid bad\n";
  std::ofstream(folder_ / "holds" / "good.hold.123") << "left by a crash: not a record";
  const auto loaded = journal.load();
  EXPECT_EQ(loaded.records.size(), 1U);
  ASSERT_TRUE(loaded.error);
  EXPECT_EQ(loaded.error->code, Errc::journal_failed);
  EXPECT_NE(loaded.error->message.find("bad.hold"), std::string::npos);
}

TEST_F(JournalTest, AFolderThatCannotBeWritten) {
  // A file in the folder's place, because root may write into any folder.
  std::ofstream(folder_ / "file") << "x";
  const auto error = Journal(folder_ / "file").keep(record("one"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::journal_failed);
  EXPECT_NE(error->message.find("STILLGATE_STATE_DIR"), std::string::npos);
  EXPECT_TRUE(Journal(folder_ / "file").load().error);
}

TEST_F(JournalTest, WhatIsOverMovesThere) {
  const Journal journal(folder_);
  const auto parted = over(record("one"));
  EXPECT_FALSE(journal.keep(record("one")));
  EXPECT_FALSE(journal.retire(parted));
  EXPECT_TRUE(journal.load().records.empty());
  ASSERT_EQ(journal.load_ended().size(), 1U);
  EXPECT_EQ(journal.load_ended()[0], parted.over);
}

TEST_F(JournalTest, WhatAResumeHasTakenOffMeanwhileIsNotKept) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.retire(over(record("one"))));
  EXPECT_TRUE(journal.load_ended().empty());
}

TEST_F(JournalTest, WhatWasToldStaysTold) {
  const Journal journal(folder_);
  auto parted = over(record("one"));
  EXPECT_FALSE(journal.keep(record("one")));
  parted.over.end->told = true;
  EXPECT_FALSE(journal.keep_ended(parted.over));
  EXPECT_FALSE(journal.retire(over(record("one"))));
  ASSERT_EQ(journal.load_ended().size(), 1U);
  EXPECT_TRUE(journal.load_ended()[0].end->told);
}

TEST_F(JournalTest, WhatIsOverIsForgottenAfterADayAndAboveItsNumber) {
  const Journal journal(folder_);
  EXPECT_FALSE(journal.keep_ended(over(record("old")).over));
  const auto yesterday = std::filesystem::file_time_type::clock::now() - Journal::ended_kept_for;
  std::filesystem::last_write_time(folder_ / "ended" / "old.hold", yesterday);
  for (std::size_t i = 0; i < Journal::most_ended + 5; ++i) {
    EXPECT_FALSE(journal.keep_ended(over(record("h" + std::to_string(i))).over));
  }
  EXPECT_EQ(journal.load_ended().size(), Journal::most_ended);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "ended" / "old.hold"));
}

}  // namespace
}  // namespace stillgate::fleet
