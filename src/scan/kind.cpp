#include "scan/kind.h"

#include <array>

namespace drpf::scan {

namespace {

constexpr std::array all_kinds{Kind::syn,  Kind::connect, Kind::ack, Kind::window,      Kind::fin, Kind::null,
                               Kind::xmas, Kind::maimon,  Kind::udp, Kind::ip_protocol, Kind::idle};

}  // namespace

std::span<const Kind> kinds() { return all_kinds; }

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::syn:
      return "syn";
    case Kind::connect:
      return "connect";
    case Kind::ack:
      return "ack";
    case Kind::window:
      return "window";
    case Kind::fin:
      return "fin";
    case Kind::null:
      return "null";
    case Kind::xmas:
      return "xmas";
    case Kind::maimon:
      return "maimon";
    case Kind::udp:
      return "udp";
    case Kind::ip_protocol:
      return "ip-protocol";
    case Kind::idle:
      break;
  }
  return "idle";
}

std::optional<Kind> find_kind(std::string_view name) {
  for (const auto kind : all_kinds)
    if (to_string(kind) == name) return kind;
  return std::nullopt;
}

bool needs_raw_sockets(Kind kind) { return kind != Kind::connect; }

std::optional<Protocol> protocol_of(Kind kind) {
  if (kind == Kind::ip_protocol) return std::nullopt;
  return kind == Kind::udp ? Protocol::udp : Protocol::tcp;
}

}  // namespace drpf::scan
