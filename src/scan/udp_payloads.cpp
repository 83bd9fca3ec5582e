#include "scan/udp_payloads.h"

namespace drpf::scan {

Bytes udp_payload(std::uint16_t, std::uint32_t) { return {}; }
bool has_udp_payload(std::uint16_t) { return false; }
bool answers_from_another_port(std::uint16_t port) { return port == 69; }
bool silent_by_design(std::uint16_t port) { return port == 51820; }

}  // namespace drpf::scan
