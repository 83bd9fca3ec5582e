// Drives NftRedirect from a test: reads commands from standard input, one a line, and answers each with one line that begins with "ok" or
// "error". Runs in the network namespace that it is started in.
//
//   set KEY VALUE                                        a field of the rule set, before start or ruleset
//   start [no-ownership] [no-renewal] [no-destroy]       -> ok MICROSECONDS owned|plain
//   install|renew|remove GENERATION tcp|udp PUBLIC_ADDRESS PUBLIC_PORT DEVICE_ADDRESS DEVICE_PORT LIFETIME_MS    (gathered)
//   commit                                               -> ok MICROSECONDS
//   reconcile | inspect | restore | ruleset | down       -> ok RESULT
//   endpoint ADDRESS[:PORT] LIFETIME_MS | generation | links
//   here ADDRESS INTERFACE LIFETIME_MS                   the device with this tunnel address is here by that tunnel
//   purged                                               waits until the connections of ended leases are deleted -> ok WALKS DELETED
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "redirect/nft_redirect.h"
#include "system/boot_clock.h"
#include "system/links_and_routes.h"

namespace drpf {
namespace {

using redirect::NftRedirect;

class Probe {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "set") return set(words);
    if (command == "start") return start(words);
    if (command == "install" || command == "renew" || command == "remove") return gather(command, words);
    if (command == "down") return status(NftRedirect::remove_everything(ruleset_));
    if (command == "links") return links();
    if (!redirect_) return "error not started";
    if (command == "commit") return commit();
    if (command == "reconcile") return count(redirect_->reconcile(desired(), now()));
    if (command == "restore") return count(redirect_->restore(desired(), now()));
    if (command == "ruleset") return status(redirect_->change_ruleset(ruleset_, desired(), now()));
    if (command == "generation") return count(redirect_->ruleset_generation());
    if (command == "inspect") return inspect();
    if (command == "purged") {
      if (!redirect_->wait_for_purges(std::chrono::seconds(10))) return "error late";
      return fmt::format("ok {} {}", redirect_->purges().walks, redirect_->purges().deleted);
    }
    if (command == "endpoint") {
      std::string address;
      long lifetime_ms = 0;
      words >> address >> lifetime_ms;
      return status(redirect_->admit({endpoint(address), {}, {}}, std::chrono::milliseconds(lifetime_ms)));
    }
    if (command == "here") {
      std::string address, interface;
      long lifetime_ms = 0;
      std::uint32_t account = 0;
      words >> address >> interface >> lifetime_ms >> account;
      // From an endpoint that nobody visits from.
      return status(redirect_->admit({{Address::v4(0xc0000201), {}}, {*parse_address(address)}, interface, account},
                                     std::chrono::milliseconds(lifetime_ms)));
    }
    return "error unknown command " + command;
  }

 private:
  static Endpoint endpoint(const std::string& text) {
    const auto whole = parse_endpoint(text);
    return whole ? *whole : Endpoint{*parse_address(text), {}};
  }
  static std::string text(const Error& error) { return fmt::format("error {} {}", error.code, error.message); }
  static std::string status(const Status& result) { return result ? "ok" : text(result.error()); }
  template <class T>
  static std::string count(const Result<T>& result) {
    return result ? fmt::format("ok {}", *result) : text(result.error());
  }
  Time now() const { return clock_.now(); }

  std::string set(std::istringstream& words) {
    std::string key, value;
    words >> key >> value;
    if (key == "public")
      ruleset_.public_interfaces.push_back(value);
    else if (key == "tunnel")
      ruleset_.tunnel_interfaces = {value};
    else if (key == "second_tunnel")
      ruleset_.tunnel_interfaces.push_back(value);
    else if (key == "tunnel_v4")
      ruleset_.tunnel_v4 = value == "none" ? std::nullopt : std::optional(*parse_prefix(value));
    else if (key == "tunnel_v6")
      ruleset_.tunnel_v6 = value == "none" ? std::nullopt : std::optional(*parse_prefix(value));
    else if (key == "host") {
      const auto address = *parse_address(value);
      lease::PublicHost host{.name = value, .v4 = {}, .v6 = {}};
      (address.is_v4() ? host.v4 : host.v6) = address;
      ruleset_.hosts.push_back(host);
    } else if (key == "input_tcp")
      ruleset_.input_tcp.push_back(*parse_port_range(value));
    else if (key == "input_udp")
      ruleset_.input_udp.push_back(*parse_port_range(value));
    else if (key == "connections")
      ruleset_.connections_per_device = static_cast<std::uint32_t>(std::stoul(value));
    else if (key == "to_one_address")
      ruleset_.connections_to_one_address_max = static_cast<std::uint32_t>(std::stoul(value));
    else if (key == "to_gateway")
      ruleset_.connections_to_gateway_max = static_cast<std::uint32_t>(std::stoul(value));
    else if (key == "lease_rate")
      ruleset_.new_connections_per_lease_per_s = static_cast<std::uint32_t>(std::stoul(value));
    else if (key == "without")
      ruleset_.without.push_back(value);
    else if (key == "with_all")
      ruleset_.without.clear();
    else if (key == "probe") {
      std::string v4, v6;
      words >> v4 >> v6;
      ruleset_.probe = firewall::ProbeDoor{value, *parse_address(v4), *parse_address(v6)};
    } else if (key == "entry_shared")
      ruleset_.entry_shares_lease_address = value == "yes";
    else
      return "error unknown key " + key;
    return "ok";
  }

  std::string start(std::istringstream& words) {
    NftRedirect::Options options;
    for (std::string option; words >> option;) {
      if (option == "no-ownership") options.use_ownership = false;
      if (option == "no-renewal") options.use_renewal_in_place = false;
      if (option == "no-destroy") options.use_destroy = false;
    }
    const auto begin = now();
    auto started = NftRedirect::start(ruleset_, desired(), now(), options);
    if (!started) return text(started.error());
    redirect_ = std::move(*started);
    return fmt::format("ok {} {}", microseconds(now() - begin), redirect_->owns_table() ? "owned" : "plain");
  }

  std::string gather(const std::string& command, std::istringstream& words) {
    std::uint32_t generation = 0;
    std::string protocol, public_address, device_address;
    std::uint16_t public_port = 0, device_port = 0;
    long lifetime_ms = 0;
    if (!(words >> generation >> protocol >> public_address >> public_port >> device_address >> device_port >> lifetime_ms))
      return "error incomplete";
    const lease::Redirection redirection{.generation = lease::Generation{generation},
                                         .protocol = *parse_protocol(protocol),
                                         .public_address = *parse_address(public_address),
                                         .public_port = Port{public_port},
                                         .device_address = *parse_address(device_address),
                                         .device_port = Port{device_port},
                                         .deadline = now() + std::chrono::milliseconds(lifetime_ms)};
    const auto key = std::make_tuple(redirection.public_address, redirection.protocol, redirection.public_port);
    if (command == "remove") {
      pending_.remove.push_back(redirection);
      desired_.erase(key);
    } else {
      (command == "install" ? pending_.install : pending_.renew).push_back(redirection);
      desired_[key] = redirection;
    }
    return "ok";
  }

  std::string commit() {
    const auto begin = now();
    const auto done = redirect_->carry_out(pending_, begin);
    const auto installed = std::exchange(pending_, {}).install;
    if (!done) return text(done.error());
    // As the gateway does before it tells anybody that the port is open.
    for (const auto& one : installed)
      if (redirect_->unsettled(one) != 0 && !redirect_->wait_for_purges(NftRedirect::purge_wait_max)) return "error late";
    return fmt::format("ok {}", microseconds(now() - begin));
  }

  std::string inspect() {
    const auto drift = redirect_->inspect();
    if (!drift) return text(drift.error());
    switch (*drift) {
      case NftRedirect::Drift::none:
        return "ok none";
      case NftRedirect::Drift::elements:
        return "ok elements";
      case NftRedirect::Drift::structure:
        return "ok structure";
    }
    return "error";
  }

  static std::string links() {
    auto routing = system::LinksAndRoutes::open();
    if (!routing) return text(routing.error());
    std::string out = "ok";
    const auto all = routing->links();
    if (!all) return text(all.error());
    for (const auto& link : *all) out += fmt::format(" {}:{}:{}", link.name, link.mtu, link.up ? "up" : "down");
    for (const auto family : {Family::v4, Family::v6})
      if (const auto route = routing->default_route(family)) {
        out += fmt::format(" default:{}:{}", *route->interface, route->gateway ? to_string(*route->gateway) : "");
        if (const auto address = routing->first_global_address(*route->interface, family)) out += " address:" + to_string(*address);
      }
    return out;
  }

  std::vector<lease::Redirection> desired() const {
    std::vector<lease::Redirection> out;
    for (const auto& [key, redirection] : desired_) out.push_back(redirection);
    return out;
  }
  static long microseconds(Duration duration) { return std::chrono::duration_cast<std::chrono::microseconds>(duration).count(); }

  system::SystemClock clock_;
  firewall::GatewayRuleset ruleset_;
  std::unique_ptr<NftRedirect> redirect_;
  lease::Transaction pending_;
  std::map<std::tuple<Address, Protocol, Port>, lease::Redirection> desired_;
};

}  // namespace
}  // namespace drpf

int main() {
  spdlog::set_default_logger(spdlog::stderr_logger_st("redirect_probe"));
  drpf::Probe probe;
  for (std::string line; std::getline(std::cin, line);) std::cout << probe.answer(line) << std::endl;
  return EXIT_SUCCESS;
}
