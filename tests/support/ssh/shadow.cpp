// Preloaded into an sshd: every user's password is $SHADOW_PASSWORD, whose hash is $SHADOW_HASH. So
// a test has one that it knows, and no user of this machine is touched.
#include <cstdlib>
#include <cstring>

#include <shadow.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

char hash[256];
char plain[256];

// At the start, because sshd asks PAM in a process that has lost its environment.
__attribute__((constructor)) void remember() {
  if (const char* const given = getenv("SHADOW_HASH")) strncpy(hash, given, sizeof hash - 1);
  if (const char* const given = getenv("SHADOW_PASSWORD")) strncpy(plain, given, sizeof plain - 1);
}

void fill(spwd& entry, const char* name) {
  entry = {};
  entry.sp_namp = const_cast<char*>(name);
  entry.sp_pwdp = hash;
  // Changed long ago, and good for ever.
  entry.sp_lstchg = 1;
  entry.sp_max = entry.sp_warn = entry.sp_inact = entry.sp_expire = -1;
}

/// What PAM's helper tells by its exit.
constexpr int pam_success = 0;
constexpr int pam_auth_err = 7;

/// As `unix_chkpwd USER chkexpiry` says that no password runs out.
[[noreturn]] void never_expires() {
  const char said[] = "-1\n";
  _exit(write(STDOUT_FILENO, said, sizeof said - 1) > 0 ? pam_success : pam_auth_err);
}

/// As `unix_chkpwd USER nullok` judges the password on its standard input, which a zero byte ends.
[[noreturn]] void judge() {
  char password[256] = {};
  size_t length = 0;
  while (length < sizeof password - 1) {
    const ssize_t got = read(STDIN_FILENO, password + length, sizeof password - 1 - length);
    if (got <= 0) break;
    length += static_cast<size_t>(got);
    if (password[length - 1] == '\0') break;
  }
  _exit(strcmp(password, plain) == 0 ? pam_success : pam_auth_err);
}

}  // namespace

// From Linux-PAM 1.7 on pam_unix never looks itself: it asks a helper, which has a group of its own
// and so takes nothing that is preloaded.
extern "C" int execve(const char* path, char* const argv[], char* const envp[]) {
  const char* const name = strrchr(path, '/');
  if (name != nullptr && strcmp(name, "/unix_chkpwd") == 0 && argv[1] != nullptr &&
      argv[2] != nullptr) {
    if (strcmp(argv[2], "chkexpiry") == 0) never_expires();
    judge();
  }
  return static_cast<int>(syscall(SYS_execve, path, argv, envp));
}

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
