// A redirect that is a map in memory, with a switch that makes the kernel refuse.
#pragma once

#include <map>
#include <set>
#include <tuple>

#include "redirect/redirect.h"

namespace drpf::tests {

class FakeRedirect final : public redirect::Redirect {
 public:
  using Key = std::tuple<Address, Protocol, Port>;

  Status carry_out(const lease::Transaction& transaction, Time) override {
    if (refuse) return fail(failure("kernel_refused", "the test's kernel refuses"));
    for (const auto& gone : transaction.remove) table.erase(key(gone));
    for (const auto& added : transaction.install) table[key(added)] = added;
    for (const auto& renewed : transaction.renew) table[key(renewed)] = renewed;
    return {};
  }
  Result<std::size_t> reconcile(std::span<const lease::Redirection> desired, Time) override {
    if (refuse) return fail(failure("kernel_refused", "the test's kernel refuses"));
    std::map<Key, lease::Redirection> wanted;
    for (const auto& one : desired) wanted[key(one)] = one;
    std::size_t repaired = 0;
    for (const auto& [where, one] : wanted)
      if (!table.contains(where) || table.at(where) != one) ++repaired;
    for (const auto& [where, one] : table)
      if (!wanted.contains(where)) ++repaired;
    table = std::move(wanted);
    return repaired;
  }
  Status admit(const redirect::Admission& device, Duration) override {
    if (refuse_endpoints) return fail(failure("kernel_refused", "the test's kernel refuses"));
    endpoints.insert(device.endpoint.address);
    for (const auto& address : device.inside) here[address] = device.interface;
    return {};
  }

  Ticket unsettled(const lease::Redirection& one) const override {
    const auto found = tickets.find(key(one));
    return found == tickets.end() || settled(found->second) ? 0 : found->second;
  }
  bool settled(Ticket ticket) const override { return ticket <= settled_to; }

  bool refuse = false;
  bool refuse_endpoints = false;
  std::map<Key, Ticket> tickets;  // ports whose former holder's visitors are still refused
  Ticket settled_to = 0;
  std::map<Key, lease::Redirection> table;
  std::set<Address> endpoints;
  std::map<Address, std::string> here;  // the interface by which a tunnel address is valid

  static Key key(const lease::Redirection& one) { return {one.public_address, one.protocol, one.public_port}; }
};

}  // namespace drpf::tests
