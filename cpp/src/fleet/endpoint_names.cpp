// Nodes out of answers, and names into reports.
#include "endpoint_names.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "model/short_names.hpp"

namespace stillgate::fleet {
namespace {

/// Of a text of `show info`; empty: it is none, or names no node.
std::string node_in(std::string_view text) {
  constexpr std::string_view first = "Name: ";
  constexpr std::string_view key = "\nnode: ";
  if (!text.starts_with(first)) return {};
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size());
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

EndpointNames::EndpointNames(const std::vector<Endpoint>& endpoints) : nodes_(endpoints.size()) {
  for (const Endpoint& one : endpoints) {
    urls_.push_back(one.url());
    given_.push_back(one.name());
  }
}

EndpointNames::EndpointNames(std::map<std::string, std::string, std::less<>> known)
    : names_(std::move(known)) {}

void EndpointNames::learn(const std::vector<runtime_api::Answer>& answers) {
  for (std::size_t i = 0; i < answers.size() && i < nodes_.size(); ++i) {
    if (!nodes_[i].empty() || answers[i].error || answers[i].replies.empty()) continue;
    nodes_[i] = node_in(answers[i].replies.front().text);
    if (!nodes_[i].empty()) names_.clear();
  }
}

const std::map<std::string, std::string, std::less<>>& EndpointNames::all() {
  if (!names_.empty() || urls_.empty()) return names_;
  std::vector<Nameable> nameable;
  nameable.reserve(urls_.size());
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    nameable.push_back({urls_[i], given_[i], nodes_[i]});
  }
  auto names = short_names(nameable);
  for (std::size_t i = 0; i < urls_.size(); ++i) names_.emplace(urls_[i], std::move(names[i]));
  return names_;
}

std::string EndpointNames::of(std::string_view url) {
  const auto found = all().find(url);
  return found == names_.end() ? std::string(url) : found->second;
}

void EndpointNames::put_into(Report& report) {
  for (Switch& one : report.switches) {
    one.endpoint_name = of(one.endpoint);
    shorten(one.error);
    for (Finding& finding : one.findings) shorten(finding.message);
  }
  shorten(report.error);
  if (!report.cutover) return;
  for (std::string& words : report.cutover->unshown) shorten(words);
  for (CutoverChange& one : report.cutover->changes) {
    one.endpoint_name = of(one.endpoint);
    shorten(one.error);
  }
}

void EndpointNames::put_into(Event& event) {
  if (event.endpoint) event.endpoint_name = of(*event.endpoint);
  shorten(event.message);
}

void EndpointNames::put_into(std::vector<Outcome>& outcomes) {
  for (Outcome& one : outcomes) one.endpoint_name = of(one.endpoint);
}

void EndpointNames::shorten(std::optional<Error>& error) {
  if (error) shorten(error->message);
}

/// An URL goes to the next space or quote, but for the signs of the sentence behind it. One that
/// somebody is to type stays as it is.
void EndpointNames::shorten(std::string& message) {
  constexpr std::string_view mark = "://";
  constexpr std::string_view option = "-e ";
  for (std::size_t at = message.find(mark); at != std::string::npos; at = message.find(mark, at)) {
    const std::size_t before = message.find_last_not_of("abcdefghijklmnopqrstuvwxyz", at - 1);
    const std::size_t begin = at == 0 || before == std::string::npos ? 0 : before + 1;
    const std::size_t end = std::min(message.find_first_of(" '\"\n", at), message.size());
    const bool typed = std::string_view(message).substr(0, begin).ends_with(option);
    std::size_t length = typed ? 0 : end - begin;
    while (length > 0 && !all().contains(std::string_view(message).substr(begin, length))) --length;
    if (length == 0) {
      at += mark.size();
      continue;
    }
    const std::string name = of(std::string_view(message).substr(begin, length));
    message.replace(begin, length, name);
    // A name that is an URL itself is not looked at again.
    at = begin + name.size();
  }
}

}  // namespace stillgate::fleet
