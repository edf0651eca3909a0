// The record of a cutover as text and back.
#include "cutover_record.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "record.hpp"

namespace stillgate::hold {
namespace {

constexpr std::string_view header = "stillgate cutover 1";

/// The fields of a row, in the order of its line.
constexpr std::array fields{&CutoverRow::endpoint, &CutoverRow::kind,   &CutoverRow::place,
                            &CutoverRow::key,      &CutoverRow::before, &CutoverRow::after};

std::string_view take(std::string_view& text, char end) {
  const std::string_view part = text.substr(0, text.find(end));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

std::optional<CutoverRow> decode_row(std::string_view line) {
  if (std::ranges::count(line, '\t') + 1 != static_cast<std::ptrdiff_t>(fields.size())) {
    return std::nullopt;
  }
  CutoverRow row;
  for (const auto field : fields) {
    auto plain = unescape(take(line, '\t'));
    if (!plain) return std::nullopt;
    row.*field = *std::move(plain);
  }
  return row;
}

}  // namespace

std::string encode(const CutoverRecord& record) {
  std::string text = fmt::format("{}\n{}\n", header, escape(record.name));
  for (const CutoverRow& row : record.rows) {
    const char* between = "";
    for (const auto field : fields) {
      text += between + escape(row.*field);
      between = "\t";
    }
    text += '\n';
  }
  return text;
}

std::optional<CutoverRecord> decode_cutover(std::string_view text) {
  // Cut off, it would restore a part.
  if (!text.ends_with('\n') || take(text, '\n') != header) return std::nullopt;
  auto name = unescape(take(text, '\n'));
  if (!name) return std::nullopt;
  CutoverRecord record{*std::move(name), {}};
  while (!text.empty()) {
    auto row = decode_row(take(text, '\n'));
    if (!row) return std::nullopt;
    record.rows.push_back(*std::move(row));
  }
  return record;
}

}  // namespace stillgate::hold
