// What other programs' tables mean for the firewall of this machine, from the text of `nft list ruleset`. Pure; it judges and changes
// nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drpf::guard {

struct PublishedPort {
  std::string port;  // "8080/tcp"
  std::string to;    // "172.17.0.2:80"
  std::string owner;
  auto operator<=>(const PublishedPort&) const = default;
};

struct OtherTable {
  std::string program;  // "docker", "ufw", "firewalld", "drpf gateway", "unknown"
  std::string table;
  std::string says;  // what follows from it, and what helps
};

struct OtherTables {
  std::vector<OtherTable> tables;        // only those that decide about this machine's packets
  std::vector<PublishedPort> published;  // ports that are led on to somewhere else, past the input chain
};

OtherTables other_tables(std::string_view nft_ruleset);

}  // namespace drpf::guard
