// The machines of the demo and the cables between them: an Internet host, the gateway, two homes and their NAT routers. Namespaces only;
// what runs on them is in actors.h.
#pragma once

#include "core/result.h"
#include "lab/stage/machine.h"

namespace drpf::lab::demo {

using namespace lab;  // the demo is one of the labs

// Addresses of the documentation blocks (RFC 5737, RFC 3849), which the real Internet does not have.
inline constexpr const char* visitor_v4 = "198.51.100.20";
inline constexpr const char* visitor_v6 = "2001:db8:51::20";
inline constexpr const char* gateway_v4 = "198.51.100.1";
inline constexpr const char* gateway_v6 = "2001:db8:51::1";
inline constexpr const char* router_1_wan = "203.0.113.11";
inline constexpr const char* router_2_wan = "192.0.2.22";
inline constexpr const char* home_1_lan = "192.168.1.10";
inline constexpr const char* home_2_lan = "192.168.2.10";
inline constexpr const char* router_2_lan = "192.168.2.1";

struct Topology {
  // From the present process, which becomes the Internet host. `has_v6` is false where this kernel has no IPv6.
  static Result<Topology> build();

  Machine visitor;
  Machine gateway;
  Machine router_1;
  Machine home_1;
  Machine router_2;
  Machine home_2;
  bool has_v6;
};

}  // namespace drpf::lab::demo
