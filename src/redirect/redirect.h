// How a lease reaches its device. The desired state is the book's; an implementation carries changes out and repairs drift.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/transaction.h"

namespace drpf::redirect {

// A device that is here now.
struct Admission {
  Endpoint endpoint;            // outside the tunnel: where it speaks to us from
  std::vector<Address> inside;  // its tunnel addresses
  std::string interface;        // of the tunnel that it is here by
  std::uint32_t account = 0;    // whose connections count together; 0 = with all others of whom nothing is known
};

class Redirect {
 public:
  virtual ~Redirect() = default;

  // Carries out removals, then installs and renewals. When it returns, no packet of a removed lease passes in either direction, and
  // new connections to an installed one arrive. On an error the kernel has either all or nothing of it; reconcile() mends the rest.
  virtual Status carry_out(const lease::Transaction& transaction, Time now) = 0;

  // Where a port is given on at once, visitors of its former holder may be refused for some milliseconds after carry_out(): who is told
  // that the port is open for everybody is told so when that is over. 0 = nothing to wait for; a later ticket settles with the earlier
  // ones or after them.
  using Ticket = std::uint64_t;
  virtual Ticket unsettled(const lease::Redirection&) const { return 0; }
  virtual bool settled(Ticket) const { return true; }

  // Makes the kernel equal to `desired`, whatever it holds now. Returns how many elements had to be repaired.
  virtual Result<std::size_t> reconcile(std::span<const lease::Redirection> desired, Time now) = 0;

  // Packets from the endpoint to leased ports are dropped from now on, for a device that visits another device's lease outside the tunnel
  // would show its real address (Port Fail). What routers say about the path to it is believed. Packets with its tunnel addresses pass by
  // this interface, and by no other.
  virtual Status admit(const Admission& device, Duration lifetime) = 0;
};

}  // namespace drpf::redirect
