// A way in, as the gateway sees it: devices are let in, and it tells who came, moved and went. By what a device proves who it is (keys,
// names and secrets) is the kind's own affair, and so is where that is kept. Commands never block on the threads that carry packets.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/types.h"
#include "store/credentials.h"
#include "tunnel/closed_flow.h"
#include "tunnel/counter.h"

namespace drpf::tunnel {

// A device's packets pass with these addresses and no others; with none, nothing passes (a suspended account).
struct LetIn {
  lease::DeviceId device{};
  std::vector<Prefix> addresses;
};

// Why a device, or somebody who is none, does not get in.
struct Refused {
  std::string what;  // "its clock says ..., and said ... before"
  std::string cure;  // {device} stands for the device's name
  std::uint64_t times = 0;
  WallTime last{};
};

struct DeviceStatus {
  lease::DeviceId device{};
  std::optional<Endpoint> endpoint;        // where it is, or was last
  std::optional<WallTime> last_handshake;  // when it proved last who it is
  std::optional<Time> last_authenticated;  // its last packet of any kind that was its own
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::optional<Refused> refused;
};

// In order per device.
struct DeviceConnected {
  lease::DeviceId device{};
  Endpoint endpoint;
};  // its first packet after being away
struct DeviceRoamed {
  lease::DeviceId device{};
  Endpoint endpoint;
};  // heard from a new address
struct DeviceDisconnected {
  lease::DeviceId device{};
};  // not heard of for too long
using DeviceEvent = std::variant<DeviceConnected, DeviceRoamed, DeviceDisconnected>;

// What a device's own configuration file says beside its credentials.
struct DeviceCard {
  lease::DeviceId device{};
  std::string account_name;
  std::string device_name;
  Address tunnel_v4;  // of the device
  std::optional<Address> tunnel_v6;
  Address gateway_v4;  // the gateway inside the tunnel
  std::optional<Address> gateway_v6;
  std::string host;  // where the device connects to: a name or an address, with or without a port
  std::vector<Address> dns;
  bool inbound_only = false;  // the device keeps its own default route
};

class WayIn {
 public:
  virtual ~WayIn() = default;
  virtual std::string_view kind() const = 0;                 // "wireguard"
  virtual std::string_view engine() const = 0;               // who carries its packets: "embedded WireGuard"
  virtual const std::string& interface() const = 0;          // of this host; its devices' packets come and go by it
  virtual bool calls_are_answered() const { return false; }  // call() makes a device that is there answer, whatever its session

  // --- credentials. Made first, committed with the device by the caller, kept from let_in() on.
  // `brought`: what the device has made itself (WireGuard: its public key). `name_of` names other devices, for what is said of them.
  virtual Status make_credentials(lease::DeviceId device, std::optional<ByteView> brought,
                                  const std::function<std::string(lease::DeviceId)>& name_of, store::Credentials& made) = 0;
  virtual void take_up(const store::Credentials& committed) = 0;
  virtual bool knows(lease::DeviceId device) const = 0;                     // it has credentials for this way in
  virtual std::string public_credential(lease::DeviceId device) const = 0;  // what may be shown of them; empty = nothing
  virtual Result<std::string> device_configuration(const DeviceCard& card) const = 0;

  // --- state that the next run goes on from. True: the store has taken something.
  virtual Result<bool> begin() { return false; }       // once, before the first device is let in
  virtual Result<bool> save_state() { return false; }  // every few seconds, and at the end
  // The device is there: to be kept at once where it can be called there after a crash.
  virtual void remember(lease::DeviceId, const Endpoint&) {}

  // --- devices
  virtual Status let_in(const LetIn& device) = 0;     // adds or replaces
  virtual Status remove(lease::DeviceId device) = 0;  // its sessions end at once, its credentials are forgotten
  // DeviceConnected and DeviceRoamed ask for admission: packets of that endpoint address are not forwarded before this call.
  virtual void admit(lease::DeviceId device, const Address& endpoint_address) = 0;
  // The device said good-bye: its session may still carry the answer, but its next proof of who it is, is a new DeviceConnected.
  virtual void depart(lease::DeviceId device) = 0;
  // Called after the kernel's rules have stopped these flows, before anybody is told. When it returns well, no packet of them that the
  // rules had let through earlier is still to be sent, to the device or from it. For a few hundredths of a second after it nothing
  // reaches these ports of the device, whatever lease it comes by.
  virtual Status fence(std::span<const ClosedFlow> flows) = 0;
  // Speak to the device now, where it was last, so that it answers (after a restart). Nothing where a kind cannot.
  virtual void call(lease::DeviceId device) = 0;
  virtual std::vector<DeviceStatus> status() const = 0;
  virtual std::optional<DeviceStatus> status(lease::DeviceId device) const = 0;
  virtual std::vector<Refused> strangers() const { return {}; }  // who is no device; one for each reason
  // Whatever time the device has said before, its next proof of who it is counts. Its sessions end: it has to be let in again.
  virtual Status forget_clock(lease::DeviceId) { return {}; }
  virtual std::vector<Counter> counters() const = 0;  // what was not carried, by reason, and whatever else a kind counts
};

}  // namespace drpf::tunnel
