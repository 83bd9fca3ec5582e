// This host, as a change of the setup sees it: the file to read again, the addresses, the kernel's parameters and rule set.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "core/port.h"
#include "gateway/reconfiguration.h"
#include "redirect/nft_redirect.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class GatewayHost final : public gateway::ReconfigurableHost {
 public:
  struct Parts {
    std::optional<std::string> config_file;
    std::vector<Port> ssh_ports;          // read while every file could be
    std::optional<Prefix> own_tunnel_v6;  // where the file names none
    const gateway::Gateway& gateway;
    system::LinksAndRoutes& network;
    redirect::NftRedirect& redirect;
    std::shared_ptr<spdlog::logger> log;
    std::function<void()> announce_addresses;  // programs that asked for a port are to learn that it has another address now
  };

  explicit GatewayHost(Parts parts) : parts_(std::move(parts)) {}

  Result<configuration::Setup> propose() override;
  Result<std::vector<configuration::FoundHost>> find_hosts(const configuration::Configuration& configuration) override;
  Status put_parameters(const configuration::Setup& setup) override;
  Status put_ruleset(const configuration::Setup& setup, std::span<const lease::Redirection> leases, Time now) override;
  void adopted(const configuration::Setup& before, const configuration::Setup& now) override;

 private:
  Parts parts_;
};

}  // namespace drpf::daemon
