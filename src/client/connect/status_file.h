// The content of the status file: how the connection stands and which ports there are, as one JSON object for programs that read it at any
// time. Writes nothing.
#pragma once

#include <string>
#include <vector>

#include "client/ports/published_ports.h"
#include "core/time.h"

namespace drpf::client {

enum class ConnectionState : std::uint8_t { connecting, connected, disconnected, stopped };
std::string_view to_string(ConnectionState state);

struct StatusFile {
  std::string interface;
  ConnectionState state = ConnectionState::connecting;
  std::string account;
  std::string device;
  std::vector<PublishedPort> ports;
};

// {"interface":"home","state":"connected","port":20000,"ports":[20000,20001],"public_address":"198.51.100.1","leases":[...],...} and a
// line's end. `port` is null and `public_address` empty while there are no ports.
std::string status_file_text(const StatusFile& status, WallTime now);

}  // namespace drpf::client
