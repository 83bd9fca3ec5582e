// The host around the gateway, as a change of its setup sees it: the file, the addresses, programs that listen, the kernel's parameters and
// rule set. What the host is outlives every process of the gateway.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "gateway/reconfiguration.h"
#include "simulation/faults.h"
#include "simulation/kernel.h"
#include "simulation/model_redirect.h"

namespace drpf::simulation {

// Addresses of the host: by DHCP, another by DHCP, and one that stays.
inline const Address first_v4 = *parse_address("198.51.100.1");
inline const Address other_v4 = *parse_address("198.51.100.3");
inline const Address first_v6 = *parse_address("2001:db8::1");
inline const Address second_v4 = *parse_address("198.51.100.2");

// What the operator, a DHCP server and other programs make of the host.
struct Surroundings {
  std::string file;  // the text of the configuration
  // Of the interface "wan".
  std::optional<Address> v4 = first_v4;
  std::optional<Address> v6 = first_v6;
  bool has_second = true;  // 198.51.100.2 is an address of "wan" too
  std::set<configuration::Listener> listeners;
};

// A good configuration. Its bits: 1 another grace, 2 no host "second", 4 a smaller pool, 8 a reserved port, 16 another tunnel prefix,
// 32 other ports for the host itself.
inline constexpr std::uint32_t file_variants = 64;
std::string file_text(std::uint32_t variant);

// As `drpf check`, the start and a reload read it: the real reader and the real proof, on this host.
Result<configuration::Setup> read_setup(const Surroundings& surroundings, bool running);
// The rule set's text, as it is given to nft.
std::string ruleset_text(const configuration::Setup& setup);

// Belongs to one process.
class ModelHost final : public gateway::ReconfigurableHost {
 public:
  struct World {
    const Surroundings& surroundings;
    Kernel& kernel;
    ModelRedirect& redirect;
    Faults& faults;
    std::function<void(const configuration::Setup&)> about_to_change;  // the leases go by this setup next
  };

  explicit ModelHost(World world) : world_(std::move(world)) {}

  Result<configuration::Setup> propose() override { return read_setup(world_.surroundings, true); }
  Result<std::vector<configuration::FoundHost>> find_hosts(const configuration::Configuration& configuration) override;
  Status put_parameters(const configuration::Setup& setup) override;
  Status put_ruleset(const configuration::Setup& setup, std::span<const lease::Redirection> leases, Time now) override;
  void adopted(const configuration::Setup&, const configuration::Setup&) override {}

 private:
  World world_;
};

}  // namespace drpf::simulation
