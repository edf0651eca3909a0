// The record of a cutover: every text comes back as it was, and a file cut short is none.
#include "hold/record/cutover_record.hpp"

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

CutoverRecord some() {
  return {"green",
          {{"unix:///run/a.sock", "state", "b/s.1-x", "", "drain", "ready"},
           {"unix:///run/a.sock", "map", "/r.map", "/a%b", "two words", "tab\there\nand\x01"}}};
}

TEST(CutoverRecord, ComesBackAsItWas) {
  EXPECT_EQ(decode_cutover(encode(some())), some());
  EXPECT_EQ(decode_cutover(encode({"x", {}})), (CutoverRecord{"x", {}}));
}

TEST(CutoverRecord, AFileThatIsNotWholeIsNone) {
  const std::string text = encode(some());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto read = decode_cutover(text.substr(0, size));
    // Cut off behind a line, it has fewer rows: the file is written aside and renamed, so that
    // this cannot happen.
    EXPECT_TRUE(!read || (text[size - 1] == '\n' && read->rows.size() < 2)) << size;
  }
  EXPECT_FALSE(decode_cutover("stillgate cutover 2\ngreen\n"));
  EXPECT_FALSE(decode_cutover("stillgate cutover 1\ngreen\na\tb\n"));
  EXPECT_FALSE(decode_cutover("stillgate cutover 1\ngreen\na\tb\tc\td\te\t%zz\n"));
}

}  // namespace
}  // namespace stillgate::hold
