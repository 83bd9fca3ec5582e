#include "registry/transport.h"

#include "registry/name_order.h"

namespace drpf::registry {

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::udp:
      return "udp";
    case Transport::dccp:
      return "dccp";
    case Transport::sctp:
      break;
  }
  return "sctp";
}

std::optional<Transport> find_transport(std::string_view text) {
  for (const auto one : all_transports)
    if (compare_names(text, to_string(one)) == 0) return one;
  return std::nullopt;
}

}  // namespace drpf::registry
