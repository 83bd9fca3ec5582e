#include "probe/scanner.h"

#include <sys/socket.h>

#include "probe/connect_scan.h"
#include "probe/idle_scan.h"
#include "probe/raw_scan.h"
#include "system/fd.h"
#include "system/privileges.h"

namespace drpf::probe {

Result<scan::Tally> run_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop) {
  if (request.kind == scan::Kind::connect) return run_connect_scan(request, observer, stop);
  if (request.kind == scan::Kind::idle) return run_idle_scan(request, observer, stop);
  return run_raw_scan(request, observer, stop);
}

bool raw_sockets_allowed() {
  // In a user namespace the capability may be there, and count for no network that one is in.
  return system::has_capability(system::Capability::net_raw) && system::Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)).valid();
}

}  // namespace drpf::probe
