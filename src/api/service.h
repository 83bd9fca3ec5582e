// What the API can ask of the gateway. The gateway implements it; tests fake it. All calls are on the control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/principal.h"
#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/lease_book.h"
#include "scan/own/lease_diagnosis.h"
#include "store/lease_history.h"

namespace drpf::api {

// What a device has made itself, for the way in of this kind: for "wireguard" its public key.
struct BroughtCredential {
  std::string kind;
  Bytes bytes;
};

// What has to settle before anybody may be told of a change: a port that was given on at once is open for the visitors of its former holder
// too when their connections are gone. 0 = nothing. Later numbers settle later.
using Settling = std::uint64_t;

template <class T>
struct Changed {
  T value;
  Settling settling = 0;
};

// How a device is connected, beside what the book knows of it.
struct DeviceTunnel {
  std::string public_credential;  // what may be shown of what it proves itself by: for WireGuard its public key; empty = nothing
  std::optional<Endpoint> endpoint;
  std::optional<WallTime> last_handshake;
  std::uint64_t bytes_received = 0;  // from the device
  std::uint64_t bytes_sent = 0;
  struct Refused {
    std::string message;
    std::string cure;
    WallTime last{};
  };
  std::optional<Refused> refused;  // why it does not get in
};

struct DeviceConfigOptions {
  bool inbound_only = false;             // the device keeps its own default route
  std::optional<std::string> kind = {};  // of the way in whose configuration is wanted; none: the one that speaks for the device
  std::optional<std::string> endpoint;   // overrides the host name or address that the device connects to
};

// What others broke on this host and the gateway mended, since its start.
struct RepairReport {
  std::vector<std::pair<std::string, std::uint64_t>> counts;  // by kind
  std::string last;                                           // kind; empty = nothing was repaired
  std::string last_culprit;                                   // whom it may have been; empty = unknown
  std::uint64_t last_s_ago = 0;
  bool alarm = false;  // more than three within a minute
};

struct Counter {
  std::string name;
  std::uint64_t value = 0;
};

// A way in that runs: by what it is carried, how many came by it, and what it did not do, by reason.
struct WayInReport {
  std::string kind;    // "wireguard"
  std::string engine;  // of the first way in
  std::string interface;
  std::size_t devices_connected = 0;
  std::vector<Counter> counters;
};

struct ReloadOptions {
  bool end_leases = false;  // a configuration that ends leases is taken too
};

struct ReloadReport {
  std::vector<std::string> changed;  // one sentence each; none = the configuration says what it said
  std::size_t leases_ended = 0;
};

struct StatusReport {
  std::string version;
  std::uint64_t uptime_s = 0;
  std::string engine;  // "embedded WireGuard"
  std::string tunnel_interface;
  Port wireguard_port;
  std::vector<WayInReport> ways_in;
  std::vector<lease::PublicHost> hosts;
  PortRange pool{Port{1}};
  std::size_t accounts = 0;
  std::size_t devices = 0;
  std::size_t devices_connected = 0;
  std::size_t leases_active = 0;
  std::size_t leases_held = 0;
  std::uint64_t ports_free = 0;     // nobody's, and given to whoever asks
  std::uint64_t ports_resting = 0;  // somebody's until a moment ago, and not yet anybody else's
  std::uint64_t repairs = 0;        // elements that reconcile had to mend since start
  RepairReport repaired;
  std::vector<std::string> warnings;  // one sentence each, with the cure
};

struct Finding {
  enum class Level : std::uint8_t { good, note, warning, problem };
  Level level = Level::good;
  std::string subject;  // "port plan", "docker", "kernel", ...
  std::string message;
  std::string cure;
};

// What is asked of the port doctor.
struct LeaseTest {
  static constexpr Duration wait_default = std::chrono::milliseconds(900);
  static constexpr Duration wait_max = std::chrono::seconds(10);

  lease::PublicPort on;
  bool passive = false;          // no visit: only what is known already
  Duration wait = wait_default;  // how long an answer may take
  Principal asker;               // a device: of others' leases it learns nothing, not even that they are
};

// One public address of the lease. A lease that is not there is told of too.
struct TestedLease {
  lease::PublicPort on;
  scan::LeaseEvidence evidence;
  scan::Diagnosis diagnosis;
};

// Something changed that a listener may care about.
struct Change {
  std::optional<lease::DeviceId> device;  // the device whose leases or connection changed; none = something else
  std::string what;                       // "connected", "disconnected", "leases", "account", "configuration"
};

class Service {
 public:
  virtual ~Service() = default;

  virtual const lease::LeaseBook& book() const = 0;
  virtual Time now() const = 0;
  virtual WallTime wall(Time time) const = 0;  // for display
  virtual StatusReport status() const = 0;
  virtual std::vector<Finding> check() = 0;
  virtual std::optional<DeviceTunnel> device_tunnel(lease::DeviceId device) const = 0;
  virtual Result<std::vector<store::PastLease>> history(const store::HistoryQuery&) { return {}; }

  virtual Result<ReloadReport> reload(const ReloadOptions& options) = 0;  // reads the configuration again, whole or not at all
  virtual Result<Bytes> backup() = 0;                                     // the whole store as one file, keys and all

  // Each returns after the change is committed and carried out, with what the answer that tells of it has to wait for.
  virtual Result<Changed<lease::Account>> add_account(std::string_view name, std::optional<std::string_view> plan) = 0;
  virtual Result<Settling> set_account(std::string_view name, std::optional<std::string_view> plan, std::optional<bool> suspended) = 0;
  virtual Result<Settling> remove_account(std::string_view name) = 0;
  // What the device has not brought is made, and its private half is kept so that device_config() is complete.
  virtual Result<Changed<lease::Device>> add_device(std::string_view account, std::string_view name,
                                                    std::optional<BroughtCredential> brought) = 0;
  virtual Result<Settling> remove_device(std::string_view name) = 0;
  virtual Result<std::string> device_config(std::string_view name, const DeviceConfigOptions& options) = 0;  // as its way in has it
  virtual Status forget_clock(std::string_view device) = 0;                // it is let in again, whatever time it has said before
  virtual Result<Settling> disconnect_device(lease::DeviceId device) = 0;  // the device says good-bye
  virtual Result<Changed<std::vector<lease::Lease>>> add_lease(lease::LeaseRequest request) = 0;
  // What a device asks for itself: a mapping like those of NAT-PMP, PCP and UPnP.
  virtual Result<Changed<std::vector<lease::Lease>>> map(const lease::MappingRequest& request) = 0;
  virtual Result<Changed<std::size_t>> end_mappings(const lease::MappingEnd& end) = 0;
  virtual Result<Settling> set_lease(const lease::PublicPort& on, Port local_port) = 0;
  virtual Result<Settling> remove_lease(const lease::PublicPort& on, const Principal& by) = 0;

  // Calls `done` once, in the call or after it.
  using LeaseTested = std::function<void(Result<std::vector<TestedLease>>)>;
  virtual void test_lease(const LeaseTest& test, LeaseTested done) = 0;

  // The listener is called on the control thread after each change until the handle is destroyed.
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  virtual std::unique_ptr<Subscription> subscribe(std::function<void(const Change&)> listener) = 0;
};

}  // namespace drpf::api
