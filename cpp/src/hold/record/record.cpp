// Encoding and decoding a hold's record.
#include "record.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "model/numbers.hpp"
#include "record_time.hpp"
#include "runtime_api/command.hpp"

namespace stillgate::hold {
namespace {

using runtime_api::parse_number;

constexpr std::string_view heading = "stillgate-hold 1";
constexpr std::size_t longest_id = 64;

Error broken(std::size_t line, std::string_view why) {
  return {Errc::journal_failed, fmt::format("record of a hold, line {}: {}", line, why)};
}

std::string_view take_word(std::string_view& text) {
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  return word;
}

std::optional<HeldSwitch> read_switch(std::string_view line) {
  const auto endpoint = unescape(take_word(line));
  const auto frontend = take_word(line);
  const auto limit = parse_number<std::int64_t>(take_word(line));
  if (!endpoint || endpoint->empty() || runtime_api::check_frontend_name(frontend)) {
    return std::nullopt;
  }
  if (!limit || *limit < 1 || *limit > runtime_api::Command::max_limit) return std::nullopt;
  HeldSwitch held{*endpoint, std::string(frontend), *limit};
  for (const Lease lease : {Lease::guard, Lease::backed}) {
    if (line.substr(0, line.find(' ')) != word(lease)) continue;
    held.lease = lease;
    take_word(line);
  }
  if (line.empty()) return held;
  const auto pid = parse_number<std::int64_t>(take_word(line));
  const auto reached = parse_number<std::int64_t>(take_word(line));
  const auto begun = parse_number<std::int64_t>(line);
  if (!pid || !reached || !begun) return std::nullopt;
  held.counters = Counters{*pid, *reached, *begun};
  return held;
}

/// `HOW AT BY yes|no`
std::optional<RecordEnd> read_end(std::string_view line) {
  const auto how = end_named(take_word(line));
  const auto at = read_time(take_word(line));
  auto by = unescape(take_word(line));
  if (!how || !at || !by || (line != "yes" && line != "no")) return std::nullopt;
  return RecordEnd{*how, *at, *std::move(by), line == "yes"};
}

/// One `key value` line into the record; a sentence where it does not fit.
std::optional<std::string> read_line(Record& record, std::string_view line) {
  const std::string_view key = take_word(line);
  if (key == "switch") {
    const auto held = read_switch(line);
    if (!held) return "not an endpoint, a frontend and a limit";
    record.switches.push_back(*held);
    return std::nullopt;
  }
  if (key == "down") {
    if (record.switches.empty()) return "no switch comes before it";
    record.switches.back().down = NameList(line);
    return std::nullopt;
  }
  if (key == "started" || key == "deadline") {
    const auto time = read_time(line);
    if (!time) return "not a time in milliseconds";
    if (key == "started") {
      record.started_at = *time;
    } else {
      record.deadline = time;
    }
    return std::nullopt;
  }
  if (key == "ended") {
    record.end = read_end(line);
    return record.end ? std::nullopt : std::optional<std::string>("not the end of a hold");
  }
  const auto value = unescape(line);
  if (!value) return "a broken percent escape";
  if (key == "id") {
    if (!is_hold_id(*value)) return "not an id";
    record.id = *value;
  } else if (key == "owner") {
    record.owner = *value;
  } else if (key == "reason") {
    record.reason = *value;
  } else if (key == "accept-hazard") {
    record.accept_hazard = *value == "yes";
  } else if (key == "ramping") {
    record.ramping = *value == "yes";
  } else {
    return fmt::format("an unknown key '{}'", key.substr(0, 40));
  }
  return std::nullopt;
}

}  // namespace

std::string_view word(Lease lease) noexcept {
  switch (lease) {
    case Lease::guard:
      return "guard";
    case Lease::backed:
      return "guard+wait";
    case Lease::none:
      break;
  }
  return "none";
}

bool is_hold_id(std::string_view id) {
  return !id.empty() && id.size() <= longest_id && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '%') {
      out += fmt::format("%{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] != '%') {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    unsigned value = 0;
    if (text.size() < 3) return std::nullopt;
    const auto [stop, failure] = std::from_chars(text.data() + 1, text.data() + 3, value, 16);
    if (failure != std::errc{} || stop != text.data() + 3) return std::nullopt;
    out += static_cast<char>(static_cast<unsigned char>(value));
    text.remove_prefix(3);
  }
  return out;
}

const HeldSwitch* Record::find(std::string_view endpoint, std::string_view frontend) const {
  const auto at = std::find_if(switches.begin(), switches.end(), [&](const HeldSwitch& held) {
    return held.endpoint == endpoint && held.frontend == frontend;
  });
  return at == switches.end() ? nullptr : &*at;
}

Record Record::only(std::string_view endpoint, std::string_view frontend) const {
  Record one = *this;
  one.switches.clear();
  if (const HeldSwitch* held = find(endpoint, frontend)) one.switches.push_back(*held);
  return one;
}

Hold Record::summary() const {
  Hold hold{id, owner, reason, {}, started_at, deadline, {}};
  if (deadline) {
    hold.max_hold_s = std::chrono::duration<double>(*deadline - started_at).count();
  }
  for (const HeldSwitch& held : switches) {
    if (std::find(hold.frontends.begin(), hold.frontends.end(), held.frontend) ==
        hold.frontends.end()) {
      hold.frontends.push_back(held.frontend);
    }
  }
  return hold;
}

std::vector<Parted> ended_records(const Report& report, const std::vector<Record>& records,
                                  WallTime now) {
  std::vector<Parted> ended;
  for (const Record& record : records) {
    if (!record.deadline || *record.deadline > now) continue;
    Parted parted{record, record};
    const auto is_open = [&report](const HeldSwitch& held) {
      return std::any_of(report.switches.begin(), report.switches.end(), [&](const Switch& one) {
        return one.endpoint == held.endpoint && one.frontend == held.frontend &&
               one.verdict == Verdict::open;
      });
    };
    std::erase_if(parted.left.switches, is_open);
    std::erase_if(parted.over.switches,
                  [&is_open](const HeldSwitch& held) { return !is_open(held); });
    if (parted.over.switches.empty()) continue;
    const bool told = record.end && record.end->told;
    parted.over.end = RecordEnd{End::expired, *record.deadline,
                                std::string(ender(parted.over.switches.front())), told};
    ended.push_back(std::move(parted));
  }
  return ended;
}

std::string_view ender(const HeldSwitch& held) noexcept {
  return held.lease == Lease::none ? "haproxy" : "guard";
}

void add_hold(Report& report, const Record& record) {
  const auto there = std::find_if(report.holds.begin(), report.holds.end(),
                                  [&record](const Hold& hold) { return hold.id == record.id; });
  if (there == report.holds.end()) {
    report.holds.push_back(record.summary());
  } else if (record.deadline < there->deadline) {
    // An extend has not reached them all: the first that opens ends the hold.
    *there = record.summary();
  }
}

std::string encode(const Record& record) {
  std::string out =
      fmt::format("{}\nid {}\nowner {}\nreason {}\nstarted {}\naccept-hazard {}\n", heading,
                  escape(record.id), escape(record.owner), escape(record.reason),
                  to_ms(record.started_at), record.accept_hazard ? "yes" : "no");
  if (record.deadline) out += fmt::format("deadline {}\n", to_ms(*record.deadline));
  if (record.ramping) out += "ramping yes\n";
  for (const HeldSwitch& held : record.switches) {
    out += fmt::format("switch {} {} {}", escape(held.endpoint), held.frontend, held.limit_before);
    if (held.lease != Lease::none) out += fmt::format(" {}", word(held.lease));
    if (const auto& counters = held.counters) {
      out += fmt::format(" {} {} {}", counters->pid, counters->reached, counters->begun);
    }
    out += '\n';
    if (!held.down.empty()) out += fmt::format("down {}\n", held.down.text());
  }
  if (const auto& end = record.end) {
    out += fmt::format("ended {} {} {} {}\n", name(end->how), to_ms(end->at), escape(end->by),
                       end->told ? "yes" : "no");
  }
  return out + "end\n";
}

Result<Record> decode(std::string_view text) {
  Record record;
  bool ended = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return broken(number, "cut short");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (number == 1) {
      if (line != heading)
        return broken(number, "written in a format that this release cannot read");
    } else if (ended) {
      return broken(number, "comes after the end");
    } else if (line == "end") {
      ended = true;
    } else if (const auto why = read_line(record, line)) {
      return broken(number, *why);
    }
  }
  if (!ended) return broken(0, "the end is missing");
  if (record.id.empty()) return broken(0, "the id is missing");
  return record;
}

}  // namespace stillgate::hold
