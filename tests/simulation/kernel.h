// The kernel as far as leases go: elements that end by themselves, and connections that keep the generation they began with. It outlives
// every process of the gateway and forgets everything with a reboot. Rules are those of firewall/gateway_ruleset.h.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "lease/transaction.h"
#include "simulation/virtual_clock.h"

namespace drpf::simulation {

using PortKey = std::tuple<Address, Protocol, Port>;  // a public port, or a device's

inline PortKey public_key(const lease::Redirection& r) { return {r.public_address, r.protocol, r.public_port}; }
inline PortKey device_key(const lease::Redirection& r) { return {r.device_address, r.protocol, r.device_port}; }

class Kernel {
 public:
  struct Element {
    PortKey other;  // where it leads to
    lease::Generation generation{};
    Time until{};  // on the kernel's timers
  };
  using Elements = std::map<PortKey, Element>;
  struct Flow {
    PortKey device;
    lease::Generation mark{};
  };
  using Visitor = std::uint32_t;

  explicit Kernel(const VirtualClock& clock) : clock_(clock) {}

  // --- what the gateway writes; several of these make one transaction
  void put_public(const lease::Redirection& r, Duration timeout) { inward_[public_key(r)] = {device_key(r), r.generation, until(timeout)}; }
  void put_device(const lease::Redirection& r, Duration timeout) {
    outward_[device_key(r)] = {public_key(r), r.generation, until(timeout)};
  }
  void put_live(lease::Generation generation, Duration timeout) { live_[generation] = until(timeout); }
  void put_endpoint(const Address& address, Duration timeout) { endpoints_[address] = until(timeout); }
  void remove_public(const PortKey& key) { inward_.erase(key); }
  void remove_device(const PortKey& key) { outward_.erase(key); }
  void remove_live(lease::Generation generation) { live_.erase(generation); }
  void purge_flows(const std::function<bool(lease::Generation)>& ended);

  // --- what the gateway reads
  const Elements& inward() { return drop_ended(inward_); }
  const Elements& outward() { return drop_ended(outward_); }
  const std::map<lease::Generation, Time>& live();
  bool lives(lease::Generation generation) { return live().contains(generation); }
  bool admits(const Address& address) const;
  const std::map<std::pair<Visitor, PortKey>, Flow>& flows() const { return flows_; }
  Time on_boot_clock(Time until) const { return until + clock_.asleep(); }

  // --- what happens to it
  void flush();   // by another program
  void reboot();  // rule set, elements and connections, parameters
  bool foreign_change = false;
  std::string ruleset;                 // its text; empty = there is none
  std::optional<PortRange> ephemeral;  // this host's own ports; none = as the kernel begins
  bool flows_checked = true;

  // A visitor's packet; where it arrives, if it does. A reply takes the same way back.
  std::optional<Flow> visit(Visitor visitor, const PortKey& to);
  // A packet that a device sends to a visitor from one of its ports; the leased port that it seems to come from, if any.
  std::optional<std::pair<PortKey, Flow>> send(const PortKey& from, Visitor visitor);

 private:
  Time until(Duration timeout) const { return clock_.awake() + timeout; }
  Elements& drop_ended(Elements& elements);

  const VirtualClock& clock_;
  Elements inward_;   // public port -> device, with its generation
  Elements outward_;  // device's port -> public port, with its generation
  std::map<lease::Generation, Time> live_;
  std::map<Address, Time> endpoints_;
  std::map<std::pair<Visitor, PortKey>, Flow> flows_;  // by visitor and public port
};

}  // namespace drpf::simulation
