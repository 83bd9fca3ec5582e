// Any bytes as the stream of OpenVPN's management interface, whole and byte by byte: the same events, and nothing that grows.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "protocol/openvpn/management.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::protocol::openvpn;
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  ManagementReader whole;
  const auto events = whole.read(stream);
  ManagementReader parts;
  std::size_t count = 0;
  for (const char byte : stream) count += parts.read({&byte, 1}).size();
  if (count != events.size() || whole.ignored() != parts.ignored() || whole.broken() != parts.broken()) std::abort();
  for (const auto& event : events) {
    const Environment* environment = nullptr;
    if (const auto* asks = std::get_if<ClientAsks>(&event)) environment = &asks->environment;
    if (const auto* established = std::get_if<ClientEstablished>(&event)) environment = &established->environment;
    if (environment == nullptr) continue;
    std::size_t bytes = 0;
    for (const auto& [name, value] : *environment) bytes += name.size() + value.size();
    if (environment->size() > ManagementReader::variables_max || bytes > ManagementReader::variable_bytes_max) std::abort();
    (void)endpoint_of(*environment);
  }
  return 0;
}
