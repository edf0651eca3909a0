// Plain files alone are opened, and what others can write is told with the command that mends it.
#include "files/file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace stillgate::files {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stillgate-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "file";
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }
  FileTest(const FileTest&) = delete;
  FileTest& operator=(const FileTest&) = delete;

  [[nodiscard]] std::string distrust(const std::filesystem::path& path) const {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return written_by_others(path, status, ::geteuid());
  }
  void write(std::string_view text, mode_t mode = 0600) const {
    std::ofstream(path_) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(FileTest, ReadsAPlainFileUpToItsBound) {
  write("four");
  const auto read = read_file(path_, 4);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, "four");
  EXPECT_EQ(read->status.st_uid, ::geteuid());
  EXPECT_EQ(read_file(path_, 3).fault.why, "larger than 3 bytes");
}

TEST_F(FileTest, AMissingOneIsMissing) {
  EXPECT_TRUE(read_file(path_).fault.is_missing());
  EXPECT_TRUE(read_file(path_ / "below").fault.is_missing());
  write("x");
  EXPECT_TRUE(read_file(path_ / "below a file").fault.is_missing());
}

TEST_F(FileTest, WhatIsNoPlainFileIsRefusedInEveryMode) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC}) {
    const File file(path_, flags);
    EXPECT_FALSE(file.is_open());
    EXPECT_EQ(file.fault().why, "a FIFO, not a plain file") << flags;
    EXPECT_FALSE(file.fault().is_missing());
  }
  EXPECT_EQ(read_file("/dev/zero").fault.why, "a device, not a plain file");
  EXPECT_EQ(read_file(folder_).fault.why, "a folder, not a plain file");
  EXPECT_TRUE(File(folder_, O_RDONLY | O_DIRECTORY).is_open());
}

TEST_F(FileTest, ASocketIsNoPlainFile) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.string().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(read_file(path_).fault.why, "a socket, not a plain file");
  ::close(fd);
}

TEST_F(FileTest, DevNullIsAFileWithoutText) {
  const auto read = read_file("/dev/null");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, "");
}

TEST_F(FileTest, WhatOthersCanWriteIsToldWithOwnerModeAndTheCommandThatMends) {
  write("", 0644);
  EXPECT_EQ(distrust(path_), "");
  ASSERT_EQ(::chmod(path_.c_str(), 0646), 0);
  EXPECT_TRUE(distrust(path_).starts_with("others can write it (owner ")) << distrust(path_);
  EXPECT_TRUE(distrust(path_).ends_with(", mode 0646); if you trust what is in it: chmod go-w '" +
                                        path_.string() + "'"))
      << distrust(path_);
}

TEST_F(FileTest, ItsCommandIsOneWordPerPath) {
  path_ = folder_ / "it's $(id)";
  write("", 0602);
  EXPECT_TRUE(distrust(path_).ends_with("/it'\\''s $(id)'")) << distrust(path_);
}

TEST_F(FileTest, InAFolderWithTheStickyBitOthersReplaceNothing) {
  ASSERT_EQ(::chmod(folder_.c_str(), 0777), 0);
  EXPECT_NE(distrust(folder_), "");
  ASSERT_EQ(::chmod(folder_.c_str(), 01777), 0);
  EXPECT_EQ(distrust(folder_), "");
  write("", 01606);
  EXPECT_NE(distrust(path_), "") << "it means nothing of a file";
}

TEST_F(FileTest, ItsGroupMayWriteWhereItIsTheUsersOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to any group";
  write("", 0664);
  const passwd* const root = ::getpwuid(0);
  const group* const own = ::getgrgid(0);
  ASSERT_TRUE(root != nullptr && own != nullptr && std::string(own->gr_name) == root->pw_name);
  EXPECT_EQ(distrust(path_), own->gr_mem[0] == nullptr ? "" : distrust(path_));
  constexpr gid_t other = 1;
  ASSERT_EQ(::chown(path_.c_str(), 0, other), 0);
  EXPECT_NE(distrust(path_), "");
}

TEST_F(FileTest, AnotherOwnerIsRefusedWhateverTheModeSaveRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  constexpr uid_t other = 65534;
  write("", 0600);
  ASSERT_EQ(::chown(path_.c_str(), other, other), 0);
  EXPECT_TRUE(distrust(path_).ends_with("trust what is in it: chown root '" + path_.string() + "'"))
      << distrust(path_);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(written_by_others(path_, status, other), "") << "its own";
  ASSERT_EQ(::chown(path_.c_str(), 0, 0), 0);
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(written_by_others(path_, status, other), "") << "root can do anything anyway";
}

TEST_F(FileTest, APrivateKeyIsForItsOwnerOnly) {
  write("", 0600);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(key_read_by_others(path_, status, status.st_uid), "");
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  const std::string why = key_read_by_others(path_, status, status.st_uid);
  EXPECT_TRUE(why.ends_with(", mode 0640): chmod go= '" + path_.string() + "'")) << why;
  EXPECT_EQ(key_read_by_others(path_, status, status.st_uid + 1), "") << "as ssh: not the user's";
}

}  // namespace
}  // namespace stillgate::files
