// A folder of a test's own, and the output of OpenSSH's programs, for the tests beside them.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace stillgate::transport::ssh {

class SshFolder : public testing::Test {
 protected:
  SshFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stillgate-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SshFolder() override { std::filesystem::remove_all(folder_); }
  SshFolder(const SshFolder&) = delete;
  SshFolder& operator=(const SshFolder&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  struct Ran {
    bool well;
    std::string output;
  };

  /// By a shell, with both outputs together.
  static Ran run(const std::string& command) {
    FILE* const pipe = ::popen((command + " 2>&1 </dev/null").c_str(), "r");
    if (pipe == nullptr) return {false, "cannot run " + command};
    Ran ran{};
    std::array<char, 4096> buffer{};
    while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
      ran.output.append(buffer.data(), size);
    }
    ran.well = ::pclose(pipe) == 0;
    return ran;
  }

  std::filesystem::path folder_;
};

}  // namespace stillgate::transport::ssh
