// SSH's own encoding of strings and numbers (RFC 4251, section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stillgate::transport::ssh {

/// Reads one after the other. The first that fails is the end: all that follow fail, too, so that
/// who reads several things looks at the last of them.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  std::optional<char> byte() {
    const auto one = bytes(1);
    if (!one) return std::nullopt;
    return one->front();
  }

  std::optional<std::uint32_t> number() {
    const auto four = bytes(4);
    if (!four) return std::nullopt;
    std::uint32_t value = 0;
    for (const char c : *four) value = value << 8U | static_cast<unsigned char>(c);
    return value;
  }

  std::optional<std::string_view> string() {
    const auto size = number();
    if (!size) return std::nullopt;
    return bytes(*size);
  }

  std::optional<std::string_view> bytes(std::size_t size) {
    if (size > rest_.size()) failed_ = true;
    if (failed_) return std::nullopt;
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }

  /// Whether all was read; never after a failure.
  [[nodiscard]] bool empty() const noexcept { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_{false};
};

class WireWriter {
 public:
  WireWriter& number(std::uint32_t value) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      bytes_ += static_cast<char>(static_cast<unsigned char>(value >> shift));
    }
    return *this;
  }

  WireWriter& string(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
    return *this;
  }

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace stillgate::transport::ssh
