// One exchange: greet, wait at the barrier, send commands, read to the end.
#include "exchange.hpp"

#include <utility>

namespace stillgate::runtime_api {
namespace {

/// With a payload, HAProxy prompts for each of its lines with `+ ` ahead of the reply itself.
std::string_view strip_continuations(std::string_view raw, const Command& command) {
  const auto& wire = command.wire();
  std::size_t lines = 0;
  for (const char c : wire) lines += c == '\n' ? 1U : 0U;
  for (; lines > 1 && raw.starts_with("+ "); --lines) raw.remove_prefix(2);
  return raw;
}

}  // namespace

Exchange::Exchange(const std::vector<Command>& commands, Closing closing, bool barrier, bool fresh,
                   std::size_t cap)
    : commands_(commands),
      closing_(closing),
      barrier_(barrier),
      fresh_(fresh),
      cap_(cap),
      // Before a barrier the greeting is read apart from the replies.
      reader_(fresh, barrier && fresh ? Closing::keep : closing,
              barrier && fresh ? 0 : commands.size(), cap) {}

Action Exchange::resume(const Event& event) {
  return std::visit([this](const auto& alternative) { return on(alternative); }, event);
}

Action Exchange::on(const event::Connected& /*unused*/) {
  if (barrier_ && !fresh_) {
    waiting_ = Waiting::barrier;
    return action::Barrier{};
  }
  if (barrier_) {
    waiting_ = Waiting::greeting;
    return action::Write{std::string(greeting)};
  }
  return write_commands(fresh_ ? std::string(greeting) : std::string());
}

Action Exchange::write_commands(std::string prefix) {
  for (const Command& command : commands_) prefix += command.wire();
  if (closing_ == Closing::quit) prefix += farewell;
  answer_.sent = true;
  waiting_ = reader_.greeted() ? Waiting::reply : Waiting::greeting;
  return action::Write{std::move(prefix)};
}

Action Exchange::on(const event::Bytes& event) {
  if (waiting_ == Waiting::barrier) {
    return finish({Errc::malformed_reply, "HAProxy sent something before it got a command"});
  }
  return advance(reader_.feed(event.bytes));
}

Action Exchange::on(const event::EndOfStream& /*unused*/) {
  if (waiting_ == Waiting::barrier) {
    return finish({Errc::early_eof, "the peer closed the connection before the command was sent"});
  }
  return advance(reader_.end_of_stream());
}

Action Exchange::on(const event::Released& /*unused*/) {
  reader_ = ReplyReader(false, closing_, commands_.size(), cap_);
  return write_commands({});
}

Action Exchange::on(const event::Failed& event) { return finish(event.error); }

Action Exchange::advance(ReplyReader::State state) {
  switch (state) {
    case ReplyReader::State::failed:
      return finish(*reader_.error());
    case ReplyReader::State::more:
      if (waiting_ == Waiting::greeting && reader_.greeted()) waiting_ = Waiting::reply;
      return action::Read{};
    case ReplyReader::State::complete:
      break;
  }
  if (waiting_ == Waiting::greeting && barrier_) {
    waiting_ = Waiting::barrier;
    return action::Barrier{};
  }
  auto& raw = reader_.replies();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    answer_.replies.push_back(read_reply(strip_continuations(raw[i], commands_[i])));
  }
  reusable_ = closing_ == Closing::keep;
  waiting_ = Waiting::nothing;
  return action::Finished{};
}

Action Exchange::finish(const Error& error) {
  answer_.error = error;
  if (answer_.sent && !answer_.error->partial) {
    if (auto partial = reader_.partial(); !partial.empty()) {
      answer_.error->partial = std::move(partial);
    }
  }
  waiting_ = Waiting::nothing;
  return action::Finished{};
}

}  // namespace stillgate::runtime_api
