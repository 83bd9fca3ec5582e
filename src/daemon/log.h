// The daemon's log: lines on standard error, as text for people and service managers or as JSON for collectors.
#pragma once

#include <memory>

#include <spdlog/logger.h>

namespace drpf::gateway {

std::shared_ptr<spdlog::logger> make_log(bool json);

}  // namespace drpf::gateway
