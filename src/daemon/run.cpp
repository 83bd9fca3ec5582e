#include "daemon/run.h"

#include <spdlog/logger.h>

#include "daemon/daemon.h"

namespace drpf::daemon {
namespace {

// sysexits(3), as docs/exit-codes.md lists them.
int exit_code_of(const Error& error) {
  if (error.code.starts_with("config_") || error.code == "port_plan_overlap" || error.code == "policy_invalid" ||
      error.code == "change_ends_leases")
    return 78;
  if (error.code == "permission_denied" || error.code == "not_permitted") return 77;
  if (error.code == "tun_missing" || error.code == "nft_missing" || error.code == "default_route_missing") return 69;
  return 1;
}

}  // namespace

int run(const RunOptions& options) {
  system::hold_standard_streams();
  const auto log = system::make_log(options.log);
  auto daemon = Daemon::build(options, log);
  if (!daemon) {
    log->critical("the gateway does not start: {}{}", daemon.error().message,
                  daemon.error().cure.empty() ? "" : " Cure: " + daemon.error().cure);
    return exit_code_of(daemon.error());
  }
  return (*daemon)->serve() ? 0 : 1;
}

}  // namespace drpf::daemon
