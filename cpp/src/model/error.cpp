// The names of the error codes.
#include <stillgate/error.hpp>

namespace stillgate {

std::string_view name(Errc code) noexcept {
  switch (code) {
#define STILLGATE_ERROR(code, meaning) \
  case Errc::code:                     \
    return #code;
#include <stillgate/error_codes.def>
#undef STILLGATE_ERROR
  }
  return "unnamed";
}

const std::vector<Errc>& all_errors() {
  static const std::vector<Errc> all{
#define STILLGATE_ERROR(code, meaning) Errc::code,
#include <stillgate/error_codes.def>
#undef STILLGATE_ERROR
  };
  return all;
}

}  // namespace stillgate
