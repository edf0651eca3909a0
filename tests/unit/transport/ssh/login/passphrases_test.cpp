// What was typed, on its way to another process.
#include "transport/ssh/login/passphrases.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::transport::ssh {
namespace {

KeyFile key_of(const std::string& path) {
  KeyFile key;
  key.path = path;
  key.encrypted = true;
  return key;
}

TEST(Passphrases, TellsAnotherAllThatWasTyped) {
  Passphrases mine;
  mine.import_all(std::string("key /a\0one\0key /b\0two words\0", 27));
  Passphrases yours;
  yours.import_all(mine.export_all());
  ASSERT_NE(yours.passphrase(key_of("/a")), nullptr);
  EXPECT_EQ(yours.passphrase(key_of("/a"))->view(), "one");
  ASSERT_NE(yours.passphrase(key_of("/b")), nullptr);
  EXPECT_EQ(yours.passphrase(key_of("/b"))->view(), "two words");
  EXPECT_EQ(yours.passphrase(key_of("/c")), nullptr);
}

TEST(Passphrases, ForgetsWhatWasWrong) {
  Passphrases ring;
  ring.import_all(std::string("key /a\0one\0", 11));
  ring.forget_passphrase(key_of("/a"));
  EXPECT_EQ(ring.passphrase(key_of("/a")), nullptr);
  EXPECT_TRUE(ring.export_all().empty());
}

TEST(Passphrases, KnowsNothingFromNothing) {
  Passphrases ring;
  ring.import_all("");
  EXPECT_TRUE(ring.export_all().empty());
}

}  // namespace
}  // namespace stillgate::transport::ssh
