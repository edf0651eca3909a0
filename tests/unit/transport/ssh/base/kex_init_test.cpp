// A server's KEXINIT, found in the first bytes of its connection.
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "transport/ssh/base/kex_init.hpp"
#include "transport/ssh/base/wire.hpp"

namespace stillgate::transport::ssh {
namespace {

std::string payload() {
  WireWriter lists;
  for (const std::string_view list :
       {"kex", "host", "to,server", "to,client", "mac1", "mac2", "none", "zlib", "", ""}) {
    lists.string(list);
  }
  return '\x14' + std::string(16, 'c') + lists.bytes() + std::string(5, '\0');
}

std::string packet(const std::string& what, std::size_t padding = 4) {
  WireWriter size;
  size.number(static_cast<std::uint32_t>(1 + what.size() + padding));
  return size.bytes() + static_cast<char>(padding) + what + std::string(padding, 'p');
}

TEST(KexInit, HasTheListsInTheirOrder) {
  const auto lists = parse_kex_init(payload());
  ASSERT_TRUE(lists);
  EXPECT_EQ(lists->key_exchanges, "kex");
  EXPECT_EQ(lists->host_keys, "host");
  EXPECT_EQ(lists->ciphers_to_server, "to,server");
  EXPECT_EQ(lists->ciphers_to_client, "to,client");
  EXPECT_EQ(lists->macs_to_server, "mac1");
  EXPECT_EQ(lists->macs_to_client, "mac2");
  EXPECT_EQ(lists->compressions_to_server, "none");
  EXPECT_EQ(lists->compressions_to_client, "zlib");
}

TEST(KexInit, IsNothingWhereItIsCutOff) {
  const std::string whole = payload();
  const std::size_t lists = whole.size() - 5 - 2 * 4;
  for (std::size_t size = 0; size < lists; ++size) {
    EXPECT_FALSE(parse_kex_init(whole.substr(0, size))) << size;
  }
  EXPECT_TRUE(parse_kex_init(whole.substr(0, lists)));
}

TEST(KexInit, IsFoundInPiecesOfAnySize) {
  const std::string stream = "Welcome.\r\n" + std::string(300, 'x') + "\nSSH-2.0-x\r\n" +
                             packet("\x02ignored") + packet(payload()) + "what follows";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    KexInitReader reader;
    for (std::size_t at = 0; at < stream.size(); at += piece) reader.feed(stream.substr(at, piece));
    ASSERT_TRUE(reader.found()) << piece;
    EXPECT_EQ(reader.found()->host_keys, "host");
  }
}

TEST(KexInit, IsLookedForNoFurtherThanAPacketThatNobodyMaySend) {
  for (const std::string& wrong :
       {std::string("\xff\xff\xff\xff\x04", 5), std::string("\0\0\0\0\0", 5),
        std::string("\0\0\0\x04\x04", 5)}) {
    KexInitReader reader;
    reader.feed("SSH-2.0-x\r\n" + wrong + packet(payload()));
    EXPECT_FALSE(reader.found());
  }
}

}  // namespace
}  // namespace stillgate::transport::ssh
