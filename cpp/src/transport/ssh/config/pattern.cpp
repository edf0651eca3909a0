// Matching of OpenSSH's patterns and lists of them.
#include "pattern.hpp"

#include <algorithm>

namespace stillgate::transport::ssh {
namespace {

/// No locale's business: host names are ASCII.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(char a, char b, Case letters) {
  return letters == Case::exact ? a == b : lower(a) == lower(b);
}

/// A list's result so far: no match, a match, or excluded.
enum class Verdict { none, yes, excluded };

Verdict after(Verdict before, std::string_view text, std::string_view pattern, Case letters) {
  const bool negated = pattern.starts_with('!');
  if (negated) pattern.remove_prefix(1);
  if (before == Verdict::excluded || !matches(text, pattern, letters)) return before;
  return negated ? Verdict::excluded : Verdict::yes;
}

}  // namespace

bool matches(std::string_view text, std::string_view pattern, Case letters) {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after_star = 0;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      after_star = at;
    } else if (in_pattern < pattern.size() &&
               (pattern[in_pattern] == '?' || same(pattern[in_pattern], text[at], letters))) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      // Only the last star need take more: what earlier ones could take, it can take too.
      in_pattern = star + 1;
      at = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

bool matches_list(std::string_view text, std::string_view list, Case letters) {
  auto verdict = Verdict::none;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    verdict = after(verdict, text, list.substr(0, comma), letters);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return verdict == Verdict::yes;
}

bool matches_any(std::string_view text, const std::vector<std::string>& patterns, Case letters) {
  auto verdict = Verdict::none;
  for (const auto& pattern : patterns) verdict = after(verdict, text, pattern, letters);
  return verdict == Verdict::yes;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
  return result;
}

}  // namespace stillgate::transport::ssh
