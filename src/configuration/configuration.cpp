#include "configuration/configuration.h"

namespace drpf::configuration {

Configuration default_configuration() {
  Configuration configuration;
  configuration.tunnel_v4 = Prefix(Address::v4(0x0a4d0000), 16);
  configuration.tunnel_v6 = *parse_prefix("fd77:6472:7066::/64");
  configuration.input_tcp = {Port{22}};
  lease::Plan personal;
  personal.name = "personal";
  lease::Plan business;
  business.name = "business";
  business.ports_max = 1000;
  business.port_choice = true;
  configuration.plans = {personal, business};
  return configuration;
}

}  // namespace drpf::configuration
