// Expanding `~`, tokens and variables in one pass, so that what they bring is not expanded again.
#include "expansion.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace stillgate::transport::ssh {
namespace {

/// `text` starts with `%`. Appends its value, and removes it from the front.
std::optional<Error> take_token(std::string_view& text, const Tokens& tokens, const Place& place,
                                std::string& result) {
  if (text.size() < 2) return bad_config(place, "a single % at the end; write %% for a plain %");
  const char name = text[1];
  const auto token = tokens.find(name);
  if (name == '%') {
    result += '%';
  } else if (token != tokens.end()) {
    result += token->second;
  } else {
    return bad_config(place, fmt::format("%{} has no meaning there; write %% for a plain %", name));
  }
  text.remove_prefix(2);
  return std::nullopt;
}

/// As take_token(), for `${`.
std::optional<Error> take_variable(std::string_view& text, const LocalContext& local,
                                   const Place& place, std::string& result) {
  const std::size_t close = text.find('}');
  if (close == std::string_view::npos) return bad_config(place, "${ without }");
  const std::string name(text.substr(2, close - 2));
  const auto value = local.environment ? local.environment(name) : std::optional<std::string>();
  if (!value) return bad_config(place, fmt::format("the variable ${{{}}} is not set", name));
  result += *value;
  text.remove_prefix(close + 1);
  return std::nullopt;
}

}  // namespace

Result<std::string> expand_home(std::string_view text, const LocalContext& local,
                                const Place& place) {
  if (!text.starts_with('~')) return std::string(text);
  if (text.size() > 1 && text[1] != '/') {
    return bad_config(place, fmt::format("'{}': write another user's folder in full", text));
  }
  return local.home + std::string(text.substr(1));
}

Result<std::string> expand_tokens(std::string_view text, const Tokens& tokens, const Place& place) {
  std::string result;
  while (!text.empty()) {
    if (text[0] == '%') {
      if (auto error = take_token(text, tokens, place, result)) return *std::move(error);
    } else {
      result += text[0];
      text.remove_prefix(1);
    }
  }
  return result;
}

Result<std::string> expand_text(std::string_view text, const Tokens& tokens,
                                const LocalContext& local, const Place& place) {
  std::string result;
  for (std::string_view rest = text; !rest.empty();) {
    std::optional<Error> error;
    if (rest[0] == '%') {
      error = take_token(rest, tokens, place, result);
    } else if (rest.starts_with("${")) {
      error = take_variable(rest, local, place, result);
    } else {
      const std::size_t plain = std::min(rest.find_first_of("%$", 1), rest.size());
      result += rest.substr(0, plain);
      rest.remove_prefix(plain);
    }
    if (error) return *std::move(error);
  }
  return result;
}

Result<std::string> expand_path(std::string_view text, const Tokens& tokens,
                                const LocalContext& local, const Place& place) {
  const auto path = expand_home(text, local, place);
  return path ? expand_text(*path, tokens, local, place) : path.error();
}

}  // namespace stillgate::transport::ssh
