// Putting secrets before an order and taking them off again.
#include "guard_secrets.hpp"

#include <string_view>

#include <string.h>
#include <sys/prctl.h>

#include <fmt/format.h>

#include "../engine/ssh_sessions.hpp"

namespace stillgate::fleet {
namespace {

constexpr std::string_view key = "typed ";

void wipe(std::string& text) { ::explicit_bzero(text.data(), text.size()); }

}  // namespace

SecretText::SecretText(const std::string& order) {
  std::string word = engine::typed_secrets();
  text_ = word.empty() ? order : fmt::format("{}{}\n{}", key, word, order);
  wipe(word);
}

SecretText::~SecretText() { wipe(text_); }

std::string take_secrets(std::string text) {
  const std::size_t end = text.find('\n');
  if (!text.starts_with(key) || end == std::string::npos) return text;
  // Before any of it is copied: pieces of it may lie where nobody can wipe them any more.
  ::prctl(PR_SET_DUMPABLE, 0);
  engine::take_typed_secrets(std::string_view(text).substr(key.size(), end - key.size()));
  std::string order = text.substr(end + 1);
  wipe(text);
  return order;
}

}  // namespace stillgate::fleet
