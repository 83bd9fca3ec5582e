#include "daemon/run.h"

#include <spdlog/logger.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "terminal/exit_code.h"

namespace drpf::daemon {
int run(const RunOptions& options) {
  const auto log = make_log(options.log_json);
  auto daemon = Daemon::build(options, log);
  if (!daemon) {
    log->critical("the gateway does not start: {}{}", daemon.error().message,
                  daemon.error().cure.empty() ? "" : " Cure: " + daemon.error().cure);
    return terminal::exit_code_of(daemon.error());
  }
  return (*daemon)->serve() ? 0 : 1;
}

}  // namespace drpf::daemon
