// Taking the lines of an ssh_config apart.
#include "lines.hpp"

#include <algorithm>

#include "pattern.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::string_view white = " \t\r\n";
constexpr std::string_view white_at_the_end = " \t\r\n\f";

void skip(std::string_view& text, std::string_view characters) {
  text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
}

/// The character that a backslash at the front of `text` escapes, if it escapes one.
bool escapes(std::string_view text, char quote) {
  if (text.size() < 2 || text[0] != '\\') return false;
  return text[1] == '\'' || text[1] == '"' || text[1] == '\\' || (quote == 0 && text[1] == ' ');
}

bool blank(char c) { return c == ' ' || c == '\t'; }

/// One argument from the front of `text`; nullopt: its quote stays open.
std::optional<std::string> take_argument(std::string_view& text) {
  std::string argument;
  char quote = 0;
  for (; !text.empty() && (quote != 0 || !blank(text[0])); text.remove_prefix(1)) {
    if (escapes(text, quote)) {
      text.remove_prefix(1);
      argument += text[0];
    } else if (quote == 0 && (text[0] == '"' || text[0] == '\'')) {
      quote = text[0];
    } else if (quote != 0 && text[0] == quote) {
      quote = 0;
    } else {
      argument += text[0];
    }
  }
  if (quote != 0) return std::nullopt;
  return argument;
}

}  // namespace

std::optional<std::string> next_word(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = text.find_first_of(" \t\r\n\"=");
  std::string word(text.substr(0, end));
  if (end == std::string_view::npos) {
    text = {};
    return word;
  }
  const char delimiter = text[end];
  text.remove_prefix(end + 1);
  if (delimiter == '"') {
    const std::size_t close = text.find('"');
    if (close == std::string_view::npos) {
      text = {};
      return std::nullopt;
    }
    word += text.substr(0, close);
    text.remove_prefix(close + 1);
    skip(text, white);
    return word;
  }
  skip(text, white);
  if (delimiter != '=' && text.starts_with('=')) {
    text.remove_prefix(1);
    skip(text, white);
  }
  return word;
}

std::optional<SplitLine> split_line(std::string_view line) {
  // ssh works on C strings: text after a NUL does not exist.
  line = line.substr(0, line.find('\0'));
  line = line.substr(0, line.find_last_not_of(white_at_the_end) + 1);
  auto keyword = next_word(line);
  // White space, or one `=`, before the keyword makes the first word an empty one.
  if (keyword && keyword->empty()) keyword = next_word(line);
  if (!keyword || keyword->empty() || keyword->starts_with('#')) return std::nullopt;
  skip(line, white);
  return SplitLine{lower(*keyword), line};
}

std::optional<std::vector<std::string>> split_arguments(std::string_view rest) {
  std::vector<std::string> arguments;
  for (skip(rest, " \t"); !rest.empty() && rest[0] != '#'; skip(rest, " \t")) {
    auto argument = take_argument(rest);
    if (!argument) return std::nullopt;
    arguments.push_back(*std::move(argument));
  }
  return arguments;
}

}  // namespace stillgate::transport::ssh
