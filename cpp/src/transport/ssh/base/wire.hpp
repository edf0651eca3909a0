// SSH's own encoding of strings and numbers (RFC 4251, section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stillgate::transport::ssh {

/// Reads one after the other; nullopt once the bytes are too few.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  std::optional<char> byte() {
    if (rest_.empty()) return std::nullopt;
    const char value = rest_.front();
    rest_.remove_prefix(1);
    return value;
  }

  std::optional<std::uint32_t> number() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value = value << 8U | static_cast<unsigned char>(rest_[i]);
    }
    rest_.remove_prefix(4);
    return value;
  }

  std::optional<std::string_view> string() {
    const auto size = number();
    if (!size) return std::nullopt;
    return bytes(*size);
  }

  std::optional<std::string_view> bytes(std::size_t size) {
    if (size > rest_.size()) return std::nullopt;
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }

  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
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
