// One reply of HAProxy: its text, and whether it is a refusal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

namespace stillgate::runtime_api {

struct Reply {
  std::string text;              ///< without severity prefix and closing line feeds
  std::optional<Error> refusal;  ///< HAProxy refused; its own words are in `haproxy`
};

/// Tells refusals from answers. With `set severity-output number` HAProxy itself marks each
/// message (`[3]: No such frontend.`), so no English sentence decides; the words only choose
/// the finer code.
[[nodiscard]] Reply read_reply(std::string_view raw);

}  // namespace stillgate::runtime_api
