// `show stat`, typed: CSV with a header line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace [[gnu::visibility("default")]] stillgate {

class Stat {
 public:
  using Row = std::vector<std::string>;

  /// Error: malformed_reply, if the header is missing, a quote is not closed, or a row has more
  /// columns than the header or no names.
  static Result<Stat> parse(std::string_view text);

  [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }

  /// Empty if the column or its value is missing.
  [[nodiscard]] std::string_view text(const Row& row, std::string_view column) const;
  [[nodiscard]] std::optional<std::int64_t> number(const Row& row, std::string_view column) const;

  /// The row of a frontend by its name, or nullptr.
  [[nodiscard]] const Row* frontend(std::string_view name) const;

 private:
  std::vector<std::string> columns_;
  std::vector<Row> rows_;
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
