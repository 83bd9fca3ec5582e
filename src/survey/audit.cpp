#include "survey/audit.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "api/json_text.h"
#include "system/fd.h"

namespace drpf::survey {
namespace {

constexpr mode_t audit_file_mode = 0640;

std::string name_of(uid_t user) {
  const auto* entry = ::getpwuid(user);
  return entry ? entry->pw_name : "?";
}

}  // namespace

std::string audit_line(const AuditEntry& entry) {
  return api::printable(fmt::format("{} {} scans {} at up to {:g} packets/s, saying that these addresses are theirs",
                                    api::rfc3339_utc(entry.when), entry.who, entry.what, entry.rate_max));
}

std::string audit_file() {
  if (::geteuid() == 0) return audit_file_of_root;
  const char* const state = std::getenv("XDG_STATE_HOME");
  if (state && *state == '/') return std::string(state) + "/drpf/scan.log";
  const auto* entry = ::getpwuid(::geteuid());
  return std::string(entry ? entry->pw_dir : "/") + "/.local/state/drpf/scan.log";
}

std::string who_is_asking() {
  auto who = fmt::format("{} (uid {})", name_of(::getuid()), ::getuid());
  const char* const behind = std::getenv("SUDO_USER");
  if (behind && *behind) who += fmt::format(" by {}", behind);
  return who;
}

Status write_audit(const std::string& path, const AuditEntry& entry) {
  const auto line = audit_line(entry) + "\n";
  std::error_code ignored;  // the open below tells what is wrong
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const system::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, audit_file_mode));
  const auto failed = [&] {
    return fail(failure("audit_failed",
                        fmt::format("the scan of addresses outside of the scope must be written down, and {} cannot be written: {}", path,
                                    std::strerror(errno)),
                        "make the file writable; without it only private and own addresses are scanned"));
  };
  if (fd.get() < 0) return failed();
  if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) return failed();
  ::syslog(LOG_NOTICE | LOG_AUTH, "drpf: %s", audit_line(entry).c_str());
  return {};
}

}  // namespace drpf::survey
