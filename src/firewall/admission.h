// Whom this host's own nftables rules let in to a port, read from the text of `nft list ruleset`. Pure. It judges the first packet of a new
// visit, and says so where it meets a rule that it cannot judge; it knows nothing of firewalls in front of the host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"

namespace drpf::firewall {

struct Visit {
  Protocol protocol{};
  Family family{};
  std::optional<Address> destination;  // none: any address of the host
  Port port;
  std::string interface;  // by which it comes in; not the loopback interface
};

struct Admission {
  enum class Who : std::uint8_t {
    everybody,
    some,  // it depends on the visitor's address or the like
    nobody,
    unknown,  // there is a rule that cannot be judged
  };
  Who who{};
  std::string because;  // the rule or policy that keeps some or all out, or that cannot be judged; empty for everybody
};

class InputRules {
 public:
  explicit InputRules(std::string_view nft_ruleset);
  Admission admission(const Visit& visit) const;

  struct Chain {
    std::string table;   // "inet filter"
    std::string family;  // "inet"
    std::string name;
    std::string hook;    // empty: only reached from others
    std::string device;  // of a hook at a device
    bool drops = false;  // by policy
    std::vector<std::string> rules;
  };
  struct NamedSet {  // or map
    std::string table;
    std::string name;
    std::string elements;  // as listed, without the braces
  };

 private:
  std::vector<Chain> chains_;
  std::vector<NamedSet> sets_;
};

}  // namespace drpf::firewall
