// Fuzzes the parsers of `show stat` and `show info`: what is taken has the promised shape.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <stillgate/info.hpp>
#include <stillgate/stat.hpp>

#include "require.hpp"

using stillgate::Errc;
using stillgate::Stat;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto info = stillgate::parse_info(text)) {
    REQUIRE(!info->version.empty());
    REQUIRE(info->find("Version") == info->version);
  } else {
    REQUIRE(info.error().code == Errc::malformed_reply);
  }
  const auto stat = Stat::parse(text);
  if (!stat) {
    REQUIRE(stat.error().code == Errc::malformed_reply);
    return 0;
  }
  REQUIRE(stat->columns().size() >= 2);
  for (const Stat::Row& row : stat->rows()) {
    REQUIRE(row.size() >= 2 && row.size() <= stat->columns().size());
    REQUIRE(!row[0].empty() && !row[1].empty());
    REQUIRE(stat->text(row, "pxname") == row[0]);
    (void)stat->number(row, "slim");
    if (row[1] == "FRONTEND") REQUIRE(stat->frontend(row[0]) != nullptr);
  }
  return 0;
}
