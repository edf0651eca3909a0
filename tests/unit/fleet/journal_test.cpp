// The journal's files: kept, read, removed, and what a broken folder gives.
#include "fleet/journal.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/stat.h>
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

TEST_F(JournalTest, AFolderThatIsSharedStaysAsItIs) {
  std::ofstream(folder_ / "somebody else's") << "text";
  std::filesystem::permissions(folder_, std::filesystem::perms::all);
  EXPECT_FALSE(Journal(folder_).keep(record("one")));
  EXPECT_EQ(mode_of(folder_), 0777U);
  EXPECT_EQ(mode_of(folder_ / "holds"), 0700U);
}

TEST_F(JournalTest, AFolderOfSomebodyElseIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  constexpr uid_t nobody = 65534;
  std::filesystem::create_directory(folder_ / "holds");
  ASSERT_EQ(::chown((folder_ / "holds").c_str(), nobody, nobody), 0);
  const auto error = Journal(folder_).keep(record("one"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::journal_failed);
  EXPECT_NE(error->message.find("somebody else"), std::string::npos) << error->message;
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

hold::Parted over(hold::Record record) {
  hold::Parted parted{record, std::move(record)};
  parted.left.switches.clear();
  parted.over.end =
      hold::RecordEnd{End::expired, WallTime(std::chrono::seconds(7)), "guard", false};
  return parted;
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
