#include "daemon/listener_warnings.h"

#include <spdlog/logger.h>

#include <fmt/format.h>

#include <algorithm>

namespace drpf::daemon {
namespace {

using configuration::Listener;
using configuration::Setup;

std::string name_of(const Listener& listener) {
  return fmt::format("a program of this host that listens on {} port {}", to_string(listener.protocol), to_string(listener.port));
}

bool stays_open(const Listener& listener, const Setup& setup) {
  const auto& configuration = setup.configuration;
  if (listener.protocol == Protocol::udp && listener.port == configuration.wireguard_port) return true;
  const auto& stays = listener.protocol == Protocol::tcp ? configuration.input_tcp : configuration.input_udp;
  return std::find(stays.begin(), stays.end(), listener.port) != stays.end();
}

// Visitors are led to devices before this host's own sockets are asked.
void warn_of_occupied(const Listener& listener, const Setup& setup, const lease::LeaseBook& book, spdlog::logger& log) {
  bool leased = false;
  for (const auto& found : setup.hosts) {
    const auto* lease = book.lease({found.host.name, listener.protocol, listener.port});
    if (lease == nullptr) continue;
    leased = true;
    log.warn(
        "{} is inside the lease pool, and host {} port {}/{} is leased to device {}: while the lease is active its visitors go to the "
        "device, and that program gets none",
        name_of(listener), found.host.name, to_string(listener.port), to_string(listener.protocol), book.device(lease->device)->name);
  }
  if (!leased) log.warn("{} is inside the lease pool: the port is given to nobody who does not have it", name_of(listener));
}

}  // namespace

void warn_of_listeners(const Setup& setup, const lease::LeaseBook& book, spdlog::logger& log) {
  for (const auto& listener : setup.listeners) {
    if (!stays_open(listener, setup))
      log.warn("{} port {} of this host is closed to the outside from now on; to keep it open add it to services_{} in [ports]",
               to_string(listener.protocol), to_string(listener.port), to_string(listener.protocol));
    if (setup.configuration.pool.contains(listener.port))
      warn_of_occupied(listener, setup, book, log);
    else if (setup.configuration.snat.contains(listener.port))
      // Most often a client's socket that was opened before the ephemeral range was set; it goes away by itself.
      log.warn("{} is inside the range that devices' traffic is translated to; `drpf check` shows whether it stays", name_of(listener));
  }
}

}  // namespace drpf::daemon
