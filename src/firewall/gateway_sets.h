// The maps and sets of the gateway's table, as commands for the nft program. What is in them is the redirect's affair, what asks them the
// rules'.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace drpf::firewall {

constexpr std::uint32_t redirections_max = 262'144;  // per map
constexpr std::uint32_t endpoints_max = 65'536;
constexpr std::uint32_t devices_counted_max = 65'536;
constexpr std::uint32_t addresses_counted_max = 262'144;  // that accounts have connections to, for each account
constexpr std::uint32_t networks_counted_max = 65'536;    // of visitors, for each device that they visit

// Where an ICMP error quotes whom the packet was sent to: address and port (behind an IPv4 header without options).
constexpr std::string_view quoted_endpoint4 = "@th,192,32 . @th,240,16";
constexpr std::string_view quoted_endpoint6 = "@th,256,128 . @th,400,16";

inline constexpr std::array counting_sets{"targets4", "talks4", "targets6", "talks6",    "flows4",  "visits4", "visitors4",
                                          "crowds4",  "flows6", "visits6",  "visitors6", "crowds6", "rates"};

std::vector<std::string> set_definitions(const std::string& table);

}  // namespace drpf::firewall
