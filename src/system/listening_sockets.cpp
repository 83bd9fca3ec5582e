#include "system/listening_sockets.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>

#include "core/encoding.h"
#include "system/text_file.h"

namespace drpf::system {
namespace {

constexpr std::string_view tcp_listen = "0A";       // TCP_LISTEN of include/net/tcp_states.h
constexpr std::string_view udp_unconnected = "07";  // TCP_CLOSE: a UDP socket without a peer

// The kernel prints each 32-bit word of the address in host order.
std::optional<Address> parse_kernel_address(std::string_view hex) {
  auto bytes = from_hex(hex);
  if (!bytes || (bytes->size() != 4 && bytes->size() != 16)) return std::nullopt;
  for (std::size_t word = 0; word < bytes->size(); word += 4)
    std::reverse(bytes->begin() + static_cast<std::ptrdiff_t>(word), bytes->begin() + static_cast<std::ptrdiff_t>(word) + 4);
  return Address::from_bytes(*bytes);
}

}  // namespace

std::vector<ListeningSocket> parse_socket_table(std::string_view text, Protocol protocol) {
  std::vector<ListeningSocket> sockets;
  std::istringstream lines{std::string(text)};
  lines.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    fields.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
    std::string slot, local, remote, state;
    if (!(fields >> slot >> local >> remote >> state) || state != (protocol == Protocol::tcp ? tcp_listen : udp_unconnected)) continue;
    const auto colon = local.find(':');
    if (colon == std::string::npos) continue;
    const auto address = parse_kernel_address(std::string_view(local).substr(0, colon));
    std::uint16_t port = 0;
    const auto digits = std::string_view(local).substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port, 16);
    if (!address || error != std::errc{} || port == 0) continue;
    sockets.push_back({protocol, {*address, Port{port}}});
  }
  return sockets;
}

std::vector<ListeningSocket> listening_sockets() {
  constexpr std::pair<const char*, Protocol> files[] = {{"/proc/net/tcp", Protocol::tcp},
                                                        {"/proc/net/tcp6", Protocol::tcp},
                                                        {"/proc/net/udp", Protocol::udp},
                                                        {"/proc/net/udp6", Protocol::udp}};
  std::vector<ListeningSocket> sockets;
  for (const auto& [path, protocol] : files) {
    const auto found = parse_socket_table(read_text_file(path), protocol);
    sockets.insert(sockets.end(), found.begin(), found.end());
  }
  std::sort(sockets.begin(), sockets.end());
  sockets.erase(std::unique(sockets.begin(), sockets.end()), sockets.end());
  return sockets;
}

}  // namespace drpf::system
