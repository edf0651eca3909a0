// What was typed for SSH, on its way to a guard: by the pipe that its order comes by.
#pragma once

#include <string>

namespace stillgate::fleet {

/// A text to send, wiped at its end.
class SecretText {
 public:
  /// `order` with what was typed in this process in front of it.
  explicit SecretText(const std::string& order);
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText();

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// The order alone; what came before it is this process's now, and wiped. A process with secrets
/// leaves no core.
[[nodiscard]] std::string take_secrets(std::string text);

}  // namespace stillgate::fleet
