// What the servers of the port-mapping protocols (NAT-PMP, PCP, UPnP IGD) ask of whoever keeps the ports: on the gateway the lease book,
// on a device that shares its connection the gateway upstream. Knows no protocol, no socket and no clock.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/types.h"

namespace drpf::protocol::port_mapping {

using lease::Door;
using lease::Nonce;

// Who asks, told by the source address of the request and by nothing else. `external_*`: where visitors reach it. `inside_*`: its own
// addresses, of which the source is one.
struct Client {
  std::optional<Address> external_v4;
  std::optional<Address> external_v6;
  std::optional<Address> inside_v4{};
  std::optional<Address> inside_v6{};
  bool operator==(const Client&) const = default;
};

// A wish for one mapping, or for `count` of them on contiguous ports. One that exists already is renewed: the same public port.
struct Wish {
  Address client;
  Protocol protocol = Protocol::tcp;
  Port internal_port;             // what the program listens on; with count > 1 the first
  Port suggested_port;            // public; 0 = none
  bool only_suggested = false;    // refuse rather than give another
  bool to_public_number = false;  // lead to the device's port of the public number, whatever the internal port (docs/port-mapping.md)
  std::uint16_t count = 1;        // fewer may be given
  Duration lifetime{};            // brought inside the limits; never zero
  bool while_connected = false;   // no lifetime: as long as the client is there (UPnP's lease time 0)
  Door door = Door::nat_pmp;
  Nonce nonce{};            // PCP's; zeros elsewhere
  std::string description;  // UPnP's; at most lease::Mapping::description_max printable bytes
};

struct Mapped {
  Protocol protocol = Protocol::tcp;
  Port internal_port;
  Port external_port;
  Port local_port;  // where it leads on the client
  std::optional<Address> external_v4;
  std::optional<Address> external_v6;
  Duration lifetime{};  // what is left of it
  Door door = Door::nat_pmp;
  Nonce nonce{};
  std::string description;
  bool operator==(const Mapped&) const = default;
};

// Which mappings of one client end. What is not given matches everything.
struct Ending {
  Address client;
  std::optional<Protocol> protocol;
  std::optional<Port> internal_port;
  std::optional<PortRange> external_ports;
  std::optional<Door> door;    // only those that came in by it
  std::optional<Nonce> nonce;  // others are refused: nonce_mismatch
};

class Mappings {
 public:
  using WhenMapped = std::function<void(Result<std::vector<Mapped>>)>;
  using WhenEnded = std::function<void(Result<std::size_t>)>;  // how many ended; none is no error

  virtual ~Mappings() = default;

  virtual std::optional<Client> client(const Address& source) const = 0;  // nullopt: a stranger
  // Seconds since mappings were last lost (RFC 6886 section 3.6, RFC 6887 section 8.5).
  virtual std::uint32_t epoch_s() const = 0;
  virtual std::vector<Mapped> mappings_of(const Address& client) const = 0;  // by external port, then protocol

  // `done` is called once, after it is durable and carried out: in this call or later. Refusals by their code: quota_exhausted,
  // pool_exhausted, no_contiguous_range, port_taken (suggested only), not_connected, account_suspended, nonce_mismatch; all else is a
  // failure.
  virtual void map(const Wish& wish, WhenMapped done) = 0;
  virtual void end(const Ending& ending, WhenEnded done) = 0;
};

}  // namespace drpf::protocol::port_mapping
