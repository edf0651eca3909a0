// Preloaded into a process: the name $TWO_ADDRESSES_NAME has the addresses 127.0.0.2 and 127.0.0.1,
// in this order.
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <netdb.h>

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const char* const ours = getenv("TWO_ADDRESSES_NAME");
  if (name == nullptr || ours == nullptr || strcmp(name, ours) != 0 ||
      (hints->ai_flags & AI_NUMERICHOST) != 0) {
    return real(name, service, hints, found);
  }
  const int status = real("127.0.0.2", service, hints, found);
  // glibc frees a list one by one, wherever each stems from.
  return status != 0 ? status : real("127.0.0.1", service, hints, &(*found)->ai_next);
}
