// Programs of this host that the port plan works against: said in the log when a setup is taken up.
#pragma once

#include <spdlog/fwd.h>

#include "configuration/setup.h"
#include "lease/lease_book.h"

namespace drpf::daemon {

void warn_of_listeners(const configuration::Setup& setup, const lease::LeaseBook& book, spdlog::logger& log);

}  // namespace drpf::daemon
