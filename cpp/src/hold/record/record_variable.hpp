// The record of a hold inside HAProxy: one process variable per held frontend, 2.4 and later.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record.hpp"
#include "runtime_api/command.hpp"
#include "runtime_api/reply.hpp"

namespace stillgate::hold {

/// A frontend's name inside that of a variable: all but letters and digits is `_xx`.
[[nodiscard]] std::string encode_name(std::string_view frontend);

/// Any bytes as letters, digits, `-` and `_`, and back; nothing if it is no such text. Without
/// padding: `=` survives in HAProxy's `str()`, but nothing here should depend on that.
[[nodiscard]] std::string to_base64url(std::string_view bytes);
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

/// The record as text that any carrier takes, and back; error: journal_failed, unless it holds just
/// one switch, of that frontend.
[[nodiscard]] std::string pack(const Record& record);
[[nodiscard]] Result<Record> unpack(std::string_view text, std::string_view endpoint,
                                    std::string_view frontend);

/// `stillgate_maxconn_` and the frontend's name, encoded.
[[nodiscard]] std::string variable_of(std::string_view frontend);

/// The value in the answer to `get var`; nothing if it was never set, or is not text.
[[nodiscard]] std::optional<std::string_view> value_in(const runtime_api::Reply& reply);

[[nodiscard]] runtime_api::Command read_variable(std::string_view frontend);

/// Writes the record, which should have that switch only. Errors: bad_command, too long.
[[nodiscard]] Result<std::vector<runtime_api::Command>> write_variable(std::string_view frontend,
                                                                       const Record& record);

/// As write_variable, in a process that has no record yet. Whoever resumes there meanwhile leaves
/// an emptied one, which stays, from 2.6 on: there HAProxy can compare and set.
[[nodiscard]] Result<std::vector<runtime_api::Command>> write_first_record(
    std::string_view frontend, const Record& record, std::string_view version);

/// A variable cannot be unset: an emptied one stays, and counts as none
/// (docs/haproxy-facts.md, section 3).
[[nodiscard]] std::vector<runtime_api::Command> empty_variable(std::string_view frontend);

/// What the answer to read_variable holds. Where HAProxy has no process variables, `supported` is
/// false. If the value cannot be read, `error` says so.
struct Remembered {
  bool supported{false};
  bool emptied{false};  ///< there was one in this process, and its hold is over
  std::optional<Record> record;
  std::optional<Error> error;
};

/// `endpoint`: how this call names the HAProxy; the writer of the record may have named it
/// differently.
[[nodiscard]] Remembered read_remembered(const runtime_api::Reply& reply, std::string_view endpoint,
                                         std::string_view frontend);

}  // namespace stillgate::hold
