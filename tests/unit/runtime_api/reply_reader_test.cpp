// The reply reader: any chopping of the bytes gives the same, and no cut gives success.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "runtime_api/reply_reader.hpp"

namespace stillgate::runtime_api {
namespace {

using State = ReplyReader::State;

constexpr std::size_t cap = 10'000;
const std::string greeted = "\n> \n> ";

struct Read {
  State state{State::more};
  std::vector<std::string> replies;
  std::optional<Error> error;
  std::string partial;
};

/// Feeds pieces of `size` bytes, then the end of the stream if nothing was decided.
Read read_in_pieces(ReplyReader reader, const std::string& bytes, std::size_t size) {
  Read read;
  for (std::size_t at = 0; at < bytes.size() && read.state == State::more; at += size) {
    read.state = reader.feed(std::string_view(bytes).substr(at, size));
  }
  if (read.state == State::more) read.state = reader.end_of_stream();
  read.replies = reader.replies();
  read.error = reader.error();
  read.partial = reader.partial();
  return read;
}

struct Stream {
  const char* name;
  Closing closing;
  std::size_t expected;
  std::string bytes;
  std::vector<std::string> replies;
};

std::vector<Stream> streams() {
  return {
      {"empty success", Closing::quit, 1, greeted + "\n> ", {""}},
      {"refusal", Closing::quit, 1, greeted + "[3]: No.\n\n> ", {"[3]: No.\n"}},
      {"a prompt in the body", Closing::quit, 1, greeted + "a\n> b\n> \n\n> ", {"a\n> b\n> \n"}},
      {"two and the end", Closing::quit, 2, greeted + "a\n\n> b\nc\n\n> ", {"a\n", "b\nc\n"}},
      {"a prompt in the body of the last",
       Closing::quit,
       2,
       greeted + "a\n\n> b\n> c\n\n> ",
       {"a\n", "b\n> c\n"}},
      {"no line feed ahead", Closing::quit, 1, greeted + "value=<a>\n> ", {"value=<a>"}},
      {"three kept", Closing::keep, 3, greeted + "a\n\n> \n> c\nd\n\n> ", {"a\n", "", "c\nd\n"}},
      {"help in the greeting", Closing::keep, 1, "\n> Unknown command.\n\n> x\n\n> ", {"x\n"}},
      {"greeting alone", Closing::keep, 0, greeted, {}},
  };
}

TEST(ReplyReader, AnyChoppingGivesTheSame) {
  for (const Stream& stream : streams()) {
    const ReplyReader fresh(true, stream.closing, stream.expected, cap);
    for (std::size_t size = 1; size <= stream.bytes.size(); ++size) {
      const Read read = read_in_pieces(fresh, stream.bytes, size);
      EXPECT_EQ(read.state, State::complete) << stream.name << " in pieces of " << size;
      EXPECT_EQ(read.replies, stream.replies) << stream.name << " in pieces of " << size;
      EXPECT_FALSE(read.error);
    }
  }
}

TEST(ReplyReader, CutAnywhereIsNeverSuccess) {
  for (const Stream& stream : streams()) {
    // A body that holds a whole prompt cannot be told from a shorter reply when cut there.
    if (std::string_view(stream.name).starts_with("a prompt in the body")) continue;
    for (std::size_t kept = 0; kept < stream.bytes.size(); ++kept) {
      const ReplyReader fresh(true, stream.closing, stream.expected, cap);
      const Read read = read_in_pieces(fresh, stream.bytes.substr(0, kept), 3);
      ASSERT_EQ(read.state, State::failed) << stream.name << " cut after " << kept;
      EXPECT_EQ(read.error->code, Errc::early_eof);
    }
  }
}

TEST(ReplyReader, KeepsWhatCameOfTheOpenReply) {
  const ReplyReader fresh(true, Closing::quit, 1, cap);
  EXPECT_EQ(read_in_pieces(fresh, greeted + "Name: HA", 100).partial, "Name: HA");
  const ReplyReader kept(false, Closing::keep, 2, cap);
  EXPECT_EQ(read_in_pieces(kept, "whole\n\n> half", 100).partial, "half");
}

TEST(ReplyReader, AKeptConnectionHasNoGreeting) {
  const Read read = read_in_pieces(ReplyReader(false, Closing::keep, 1, cap), "x\n\n> ", 1);
  EXPECT_EQ(read.state, State::complete);
  EXPECT_EQ(read.replies, std::vector<std::string>{"x\n"});
}

TEST(ReplyReader, MoreThanWasAskedForIsMalformed) {
  const Read read = read_in_pieces(ReplyReader(false, Closing::keep, 1, cap), "x\n\n> y", 100);
  EXPECT_EQ(read.state, State::failed);
  EXPECT_EQ(read.error->code, Errc::malformed_reply);
}

TEST(ReplyReader, TheCapIsNamed) {
  ReplyReader reader(true, Closing::quit, 1, 1000);
  EXPECT_EQ(reader.feed(greeted), State::more);
  EXPECT_EQ(reader.feed(std::string(994, 'x')), State::more);
  EXPECT_EQ(reader.feed("x"), State::failed);
  EXPECT_EQ(reader.error()->code, Errc::reply_too_large);
  EXPECT_NE(reader.error()->message.find("1000"), std::string::npos);
}

TEST(ReplyReader, TellsWhoElseMaySpeakThere) {
  const ReplyReader fresh(true, Closing::quit, 1, cap);
  for (std::size_t size = 1; size < 9; ++size) {
    EXPECT_EQ(read_in_pieces(fresh, "master> ", size).error->code, Errc::master_socket);
    EXPECT_EQ(read_in_pieces(fresh, "SSH-2.0-x\r\n", size).error->code, Errc::not_haproxy);
    EXPECT_EQ(read_in_pieces(fresh, "HTTP/1.0 400\r\n", size).error->code, Errc::not_haproxy);
    EXPECT_EQ(read_in_pieces(fresh, "\n>x", size).error->code, Errc::not_haproxy);
    EXPECT_EQ(read_in_pieces(fresh, "mastix", size).error->code, Errc::not_haproxy);
  }
}

TEST(ReplyReader, ALongReplyInSmallPiecesIsNotSearchedAgainEachTime) {
  // Quadratic work would take minutes here, linear takes milliseconds.
  ReplyReader reader(true, Closing::keep, 1, 40'000'000);
  EXPECT_EQ(reader.feed(greeted), State::more);
  for (int i = 0; i < 300'000; ++i)
    ASSERT_EQ(reader.feed("a line of a long reply > no\n"), State::more);
  EXPECT_EQ(reader.feed("\n> "), State::complete);
}

}  // namespace
}  // namespace stillgate::runtime_api
