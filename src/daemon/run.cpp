#include "daemon/run.h"

#include <spdlog/logger.h>

#include "daemon/daemon.h"
#include "terminal/exit_code.h"

namespace drpf::daemon {
int run(const RunOptions& options) {
  system::hold_standard_streams();
  const auto log = system::make_log(options.log);
  auto daemon = Daemon::build(options, log);
  if (!daemon) {
    log->critical("the gateway does not start: {}{}", daemon.error().message,
                  daemon.error().cure.empty() ? "" : " Cure: " + daemon.error().cure);
    return terminal::exit_code_of(daemon.error());
  }
  return (*daemon)->serve() ? 0 : 1;
}

}  // namespace drpf::daemon
