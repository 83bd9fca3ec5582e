// Who hears what a scan finds while it runs. An interface; sends nothing.
#pragma once

#include <cstddef>
#include <optional>

#include "scan/request.h"
#include "system/route_lookup.h"

namespace drpf::probe {

// What a target on the own link said to ARP or neighbour discovery, before its ports were asked.
struct LinkAnswer {
  std::optional<system::MacAddress> hardware;  // none: it said nothing
  bool answered = false;                       // itself, now; else the address was written down by hand
};

class ScanObserver {
 public:
  virtual ~ScanObserver() = default;
  // Once for each (target, number); with State::undecided at the end for those that nothing may be said about.
  virtual void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) = 0;
  // For targets on Ethernet that are no address of this machine and behind no router.
  virtual void on_link_answer(std::size_t /*target*/, const LinkAnswer& /*answer*/) {}
  // About five times a second.
  virtual void on_progress(const scan::Tally& tally) = 0;
  // All sockets are open: from here on CAP_NET_RAW is not needed, and who scans nothing else gives it up.
  virtual void on_sockets_open() {}
};

}  // namespace drpf::probe
