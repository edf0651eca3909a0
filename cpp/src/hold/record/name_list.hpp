// Names of backends, as one text with commas between. No name in HAProxy has a comma.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace stillgate::hold {

class NameList {
 public:
  NameList() = default;
  explicit NameList(std::string_view text) : text_(text) {}

  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] bool has(std::string_view name) const {
    return first([name](std::string_view one) { return one == name; }).has_value();
  }
  /// The first of which that is true.
  template <class Test>
  [[nodiscard]] std::optional<std::string_view> first(const Test& test) const {
    for (std::string_view rest = text_; !rest.empty();) {
      const std::size_t comma = rest.find(',');
      const std::string_view name = rest.substr(0, comma);
      if (test(name)) return name;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return std::nullopt;
  }
  void add(std::string_view name) {
    if (!text_.empty()) text_ += ',';
    text_ += name;
  }

  bool operator==(const NameList&) const = default;

 private:
  std::string text_;
};

}  // namespace stillgate::hold
