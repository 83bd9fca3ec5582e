#include "firewall/gateway_sets.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>

namespace drpf::firewall {
namespace {

// Within this a device answers, and a visitor goes on with the connection; SYN-ACKs that are sent again after a second count anew.
constexpr std::chrono::seconds unanswered_max{3};
constexpr std::chrono::seconds half_open_max{2};

}  // namespace

std::vector<std::string> set_definitions(const std::string& table) {
  std::vector<std::string> out;
  const auto map = [&](std::string_view name, std::string_view family, std::string_view key, std::string_view value) {
    // What gives a flow its generation counts how often it did: a generation that was never given has no connections to delete.
    out.push_back(fmt::format("add map inet {} {}{} {{ type {} : {} ; flags timeout ; size {} ; {}}}", table, name, family, key, value,
                              redirections_max, value == "mark" ? "counter ; " : ""));
  };
  const auto set = [&](std::string_view name, std::string_view family, std::string_view type, std::string_view flags, std::uint32_t size) {
    out.push_back(fmt::format("add set inet {} {}{} {{ type {} ; flags {} ; size {} ; }}", table, name, family, type, flags, size));
  };
  for (const std::string family : {"4", "6"}) {
    const auto address = "ipv" + family + "_addr";
    const auto public_key = address + " . inet_proto . inet_service";
    const auto device_key = "inet_proto . " + address + " . inet_service";
    const auto endpoint = address + " . inet_service";
    map("dnat", family, public_key, endpoint);
    map("genin", family, public_key, "mark");
    map("eim", family, device_key, endpoint);
    map("genout", family, device_key, "mark");
    set("here", family, fmt::format("{} . ifname", address), "timeout", devices_counted_max);
    set("endpoints", family, address, "timeout", endpoints_max);
    out.push_back(fmt::format("add set inet {} paths{} {{ typeof {} ; flags timeout ; size {} ; }}", table, family,
                              family == "4" ? quoted_endpoint4 : quoted_endpoint6, endpoints_max));
    out.push_back(fmt::format("add map inet {} owner{} {{ type {} : mark ; flags timeout ; size {} ; }}", table, family, address,
                              devices_counted_max));
    set("targets", family, fmt::format("mark . {}", address), "dynamic", addresses_counted_max);
    set("talks", family, address, "dynamic", devices_counted_max);
    set("flows", family, address, "dynamic", devices_counted_max);
    set("visits", family, address, "dynamic", devices_counted_max);
    set("visitors", family, fmt::format("{0} . {0}", address), "dynamic", networks_counted_max);
    set("crowds", family, "mark", "dynamic", redirections_max);
    for (const auto* refused : {"full", "spent"}) set(refused, family, address, "dynamic,timeout ; timeout 1m", devices_counted_max);
    const auto timeouts = [&](std::string_view protocol, const std::string& policy) {
      out.push_back(fmt::format("add ct timeout inet {} unanswered_{}{} {{ protocol {} ; l3proto {} ; policy = {{ {} }} ; }}", table,
                                protocol, family, protocol, family == "4" ? "ip" : "ip6", policy));
    };
    timeouts("udp", fmt::format("unreplied : {}", unanswered_max.count()));
    timeouts("tcp", fmt::format("syn_sent : {} , syn_recv : {}", unanswered_max.count(), half_open_max.count()));
    set("requests", family, address, "dynamic,timeout ; timeout 1m", devices_counted_max);
  }
  set("live", "", "mark", "timeout", redirections_max);
  set("rates", "", "mark", "dynamic,timeout ; timeout 1m", redirections_max);
  return out;
}

}  // namespace drpf::firewall
