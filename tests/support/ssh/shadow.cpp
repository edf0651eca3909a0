// Preloaded into an sshd: every user's password is the one whose hash is $SHADOW_HASH. So a test
// has one that it knows, and no user of this machine is touched.
#include <cstdlib>
#include <cstring>

#include <shadow.h>

namespace {

char hash[256];

// At the start, because sshd asks PAM in a process that has lost its environment.
__attribute__((constructor)) void remember() {
  const char* const given = getenv("SHADOW_HASH");
  if (given != nullptr) strncpy(hash, given, sizeof hash - 1);
}

void fill(spwd& entry, const char* name) {
  entry = {};
  entry.sp_namp = const_cast<char*>(name);
  entry.sp_pwdp = hash;
  // Changed long ago, and good for ever.
  entry.sp_lstchg = 1;
  entry.sp_max = entry.sp_warn = entry.sp_inact = entry.sp_expire = -1;
}

}  // namespace

extern "C" spwd* getspnam(const char* name) {
  static spwd entry;
  fill(entry, name);
  return &entry;
}

extern "C" int getspnam_r(const char* name, spwd* entry, char*, size_t, spwd** found) {
  fill(*entry, name);
  *found = entry;
  return 0;
}
