// Parsing `show stat`.
#include <stillgate/stat.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "model/numbers.hpp"

namespace stillgate {
namespace {

Error malformed(std::string_view why) {
  return {Errc::malformed_reply, fmt::format("show stat: {}", why)};
}

/// Takes one CSV line, quoted values included, off the front of `text`; nothing where a quote
/// stays open.
std::optional<Stat::Row> take_row(std::string_view& text) {
  Stat::Row row;
  std::string value;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        value += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        value += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && value.empty()) {
      quoted = true;
    } else if (c == ',') {
      row.push_back(std::move(value));
      value.clear();
    } else if (c == '\n') {
      break;
    } else {
      value += c;
    }
  }
  if (quoted) return std::nullopt;
  text.remove_prefix(std::min(text.size(), i + 1));
  // HAProxy ends each line with a comma: after the last one there is no column.
  if (!value.empty()) row.push_back(std::move(value));
  return row;
}

}  // namespace

Result<Stat> Stat::parse(std::string_view text) {
  if (!text.starts_with("# ")) return malformed("no header line");
  text.remove_prefix(2);
  Stat stat;
  auto header = take_row(text);
  if (!header) return malformed("a quote in the header is not closed");
  stat.columns_ = *std::move(header);
  if (stat.columns_.size() < 2 || stat.columns_[0] != "pxname" || stat.columns_[1] != "svname") {
    return malformed("the header does not begin with pxname,svname");
  }
  for (auto at = stat.columns_.begin(); at != stat.columns_.end(); ++at) {
    if (std::find(stat.columns_.begin(), at, *at) != at) {
      return malformed(fmt::format("the column {} is there twice", *at));
    }
  }
  while (!text.empty()) {
    auto row = take_row(text);
    if (!row) return malformed("a quote is not closed");
    if (row->empty()) continue;
    if (row->size() < 2 || (*row)[0].empty() || (*row)[1].empty()) {
      return malformed("a row has no proxy and server name");
    }
    if (row->size() > stat.columns_.size()) return malformed("a row is longer than the header");
    stat.rows_.push_back(*std::move(row));
  }
  return stat;
}

std::string_view Stat::text(const Row& row, std::string_view column) const {
  const auto at = std::find(columns_.begin(), columns_.end(), column);
  const auto index = static_cast<std::size_t>(at - columns_.begin());
  return at == columns_.end() || index >= row.size() ? std::string_view() : row[index];
}

std::optional<std::int64_t> Stat::number(const Row& row, std::string_view column) const {
  return runtime_api::parse_number<std::int64_t>(text(row, column));
}

const Stat::Row* Stat::frontend(std::string_view name) const {
  for (const Row& row : rows_) {
    if (row[0] == name && row[1] == "FRONTEND") return &row;
  }
  return nullptr;
}

}  // namespace stillgate
