// Why a leased port answers its visitors, or why not: what was found out about it becomes one sentence and one cure. Finds nothing out by
// itself; that is daemon/port_doctor.h. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "core/time.h"
#include "scan/verdict.h"

namespace drpf::scan {

// Stable words for scripts; docs/doctor.md explains each.
enum class Finding : std::uint8_t {
  answers,             // the program on the device answers
  nobody_listens,      // the device says that no program has this port
  rejected_by_device,  // the device's own firewall refuses, and says so
  dropped_by_device,   // the device is there and is silent to everybody, also where nobody listens
  silent,              // the device is there, and what keeps this port silent cannot be told: a program that hangs, or a rule
  no_way_back,         // what a visitor is not told, the gateway itself or the other family is
  not_answered,        // visitors came, and none was answered (nothing was sent by ourselves)
  not_visited,         // nobody came yet (nothing was sent by ourselves)
  tunnel_silent,       // the device counts as connected, and its tunnel does not answer
  tunnel_down,         // the device is not connected
  account_suspended,   //
  lease_ended,         // there was one
  lease_unknown,       // there was none as long as is remembered
  rule_missing,        // the kernel does not hold what it should
  blocked_on_gateway,  // another program's rules on the gateway keep the packet from the tunnel
  gone_astray,         // the answer is not the device's
  no_statement,        // this machine could not look
};

std::string_view to_string(Finding finding);  // "nobody_listens"

// Everything that is known of one lease on one public address. What was not looked at is left out.
struct LeaseEvidence {
  struct Holder {
    std::string device;
    std::string account;
    Endpoint at;  // where the lease leads
  };
  struct Past {
    std::string device;
    std::string account;
    std::optional<WallTime> until;
  };
  enum class Rules : std::uint8_t { standing, element_missing, lost };

  Protocol protocol = Protocol::tcp;
  Endpoint public_side;
  WallTime now{};

  // The book's and the history's words.
  std::optional<Holder> holder;  // none = there is no lease
  bool active = false;
  bool connected = false;
  bool suspended = false;
  bool leasable = true;        // the pool has this port
  std::optional<Past> before;  // who had it last

  // The tunnel's.
  std::optional<WallTime> last_handshake;
  bool tunnel_answered = false;  // the device was heard since we began to look
  bool tunnel_called = true;     // it was called, if need be; not every kind of tunnel can do that

  // The kernel's.
  Rules rules = Rules::standing;
  std::uint64_t visits = 0;       // connections that began since the lease became active, ours left out
  std::uint64_t connections = 0;  // of those, still remembered
  std::uint64_t answered = 0;     // of those, with packets in both directions

  // Our own visit. Without a verdict none was made.
  std::optional<Verdict> visit;
  Address visitor;                 // where it seemed to come from
  std::optional<Endpoint> led_to;  // by the connection table, which forgets what was refused; none = it is not there
  bool tunnel_sent = false;        // something went into the device's tunnel since we began to look
  // Where it stayed silent, other questions. None = not asked.
  std::optional<bool> answers_gateway;    // the same port, asked from the gateway's own address in the tunnel
  std::optional<bool> answers_elsewhere;  // so asked, a port at which nobody listens
  bool answers_other_family = false;      // a visit to the lease's address of the other family
  std::string no_visit_reason;            // why none was made, where one was wanted: a clause, "the kernel has no TUN devices"
};

struct Diagnosis {
  Finding finding = Finding::no_statement;
  std::string sentence;
  std::string cure;  // empty where nothing is wrong
};

Diagnosis diagnose(const LeaseEvidence& evidence);

}  // namespace drpf::scan
