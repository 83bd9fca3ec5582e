// The daemon's log: lines on standard error, as text for people and service managers or as JSON for collectors.
#pragma once

#include <memory>

#include <spdlog/fwd.h>

namespace drpf::daemon {

std::shared_ptr<spdlog::logger> make_log(bool json);

}  // namespace drpf::daemon
