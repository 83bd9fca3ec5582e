// Finds out why a lease answers or not: looks at the book, the history, the kernel and the tunnel, visits the lease from the probe's
// interface, and hands all of it to scan::diagnose(). It visits standing leases only. On the control thread; waits for nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include <spdlog/fwd.h>

#include "api/service.h"
#include "core/random.h"
#include "core/time.h"
#include "daemon/probe_interface.h"
#include "gateway/gateway.h"
#include "net/event_loop.h"
#include "redirect/nft_redirect.h"
#include "scan/own/lease_visit.h"
#include "system/conntrack.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class PortDoctor {
 public:
  static constexpr std::size_t tests_max = 64;            // at one time
  static constexpr std::size_t tests_per_device_max = 4;  // of those, asked for by one device
  static constexpr Duration send_interval = std::chrono::milliseconds(300);
  static constexpr Duration call_after = std::chrono::milliseconds(450);   // of silence: then the tunnel itself is asked
  static constexpr Duration handshake_fresh = std::chrono::seconds(6);     // a younger one cannot be repeated: the tunnel is called later
  static constexpr Duration call_answer = std::chrono::milliseconds(600);  // that it may take
  static constexpr std::size_t direct_questions_max = 2;                   // at each of two ports, a send_interval apart
  static constexpr Duration look_interval = std::chrono::milliseconds(5);
  static constexpr int looks_max = 10;
  static constexpr std::size_t own_visits_max = 65'536;  // leases of which we know how often we came

  struct Parts {
    gateway::Gateway& gateway;
    redirect::NftRedirect& redirect;
    system::LinksAndRoutes& network;
    ProbeInterface& probe;
    net::EventLoop& loop;
    const Clock& clock;
    Random& random;
    std::shared_ptr<spdlog::logger> log;
  };

  static Result<std::unique_ptr<PortDoctor>> start(Parts parts);
  ~PortDoctor();

  void test(const api::LeaseTest& test, api::Service::LeaseTested done);
  // What others have done to the interface of the visits is put right; true if there was something.
  Result<bool> repair_probe();

 private:
  struct Visit;
  struct Test;
  // A lease's activation on one public address.
  using VisitedKey = std::tuple<Address, Protocol, Port, lease::Generation>;

  PortDoctor(Parts parts, system::Conntrack conntrack);
  scan::LeaseEvidence known(const api::LeaseTest& test, const lease::Lease* lease, const Address& public_address) const;
  void look_at_history(const lease::PublicPort& on, const api::LeaseTest& test, scan::LeaseEvidence& evidence) const;
  void look_at_kernel(const lease::Redirection& redirection, scan::LeaseEvidence& evidence);
  void look_at_connections(const lease::Redirection& redirection, scan::LeaseEvidence& evidence);
  void look_at_tunnel(Visit& visit);
  void ask_directly(Visit& visit);
  bool puts_off_call(Visit& visit, Time now);
  bool heard(Visit& visit);
  Status open_probe();
  void begin(Visit& visit);
  void send(Visit& visit, const Bytes& packet);
  void on_turn(Visit& visit);
  void on_readable();
  void close_probe();
  void conclude_soon(Visit& visit);
  void conclude(Visit& visit);
  void finish(Visit& visit, scan::LeaseEvidence evidence);
  void tell_finished();
  static VisitedKey key_of(const lease::Redirection& redirection);

  Parts parts_;
  system::Conntrack conntrack_;
  std::map<std::uint64_t, std::unique_ptr<Test>> tests_;
  std::uint64_t next_test_ = 0;
  std::map<VisitedKey, std::uint64_t> own_visits_;
  bool probe_made_ = false;  // it could be, once
  net::Watch readable_;
  net::Timer finished_;
};

}  // namespace drpf::daemon
