// The record of a cutover, what stood before it, and its one codec.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stillgate::hold {

/// One change at one endpoint.
struct CutoverRow {
  std::string endpoint;  ///< canonical URL
  std::string kind;      ///< `state`, `weight` or `map`
  std::string place;     ///< `BACKEND/SERVER`, or the map's file
  std::string key;       ///< of the map
  std::string before;    ///< what stood there before the cutover
  std::string after;     ///< what it puts there

  bool operator==(const CutoverRow&) const = default;
  [[nodiscard]] bool same_place(const CutoverRow& other) const {
    return endpoint == other.endpoint && kind == other.kind && place == other.place &&
           key == other.key;
  }
};

struct CutoverRecord {
  std::string name;
  std::vector<CutoverRow> rows;

  bool operator==(const CutoverRecord&) const = default;
};

/// A line for each row.
[[nodiscard]] std::string encode(const CutoverRecord& record);

/// Nothing: it is none, or of another version.
[[nodiscard]] std::optional<CutoverRecord> decode_cutover(std::string_view text);

}  // namespace stillgate::hold
