// Writes down who scanned addresses outside of the scope. Decides nothing; a scan that cannot be written down does not run.
#pragma once

#include <string>

#include "core/result.h"
#include "core/time.h"

namespace drpf::survey {

inline constexpr const char* audit_file_of_root = "/var/log/drpf/scan.log";

struct AuditEntry {
  WallTime when;
  std::string who;      // "ann (uid 1000)", behind sudo: "root (uid 0) by ann"
  std::string what;     // "203.0.113.0/28; syn: 1000 ports"
  double rate_max = 0;  // packets per second
};

std::string audit_line(const AuditEntry& entry);

// root's file, and for others ~/.local/state/drpf/scan.log (XDG_STATE_HOME).
std::string audit_file();
std::string who_is_asking();

// Appends the line to the file, which is made where it is missing, and sends it to the system's log.
Status write_audit(const std::string& path, const AuditEntry& entry);

}  // namespace drpf::survey
