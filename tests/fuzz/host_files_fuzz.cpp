// Any text as a file of the host: sshd_config, resolv.conf. First byte: which of them.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "client/connect/name_servers.h"
#include "daemon/ssh_ports.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 's':
      for (const auto port : daemon::parse_ssh_ports(text))
        if (port.is_zero()) std::abort();
      break;
    default:
      for (const auto& server : client::name_servers_in(text))
        if (parse_address(to_string(server)) != server) std::abort();
  }
  return 0;
}
