// One attempt of the connect scan: a socket whose handshake runs, and what became of it. Decides nothing about the port beyond that.
#pragma once

#include <optional>
#include <string>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "scan/verdict.h"
#include "system/fd.h"

namespace drpf::probe {

struct ConnectPath {
  Endpoint target;
  std::string interface;  // empty: by the route
  int scope = 0;          // index of the interface, for IPv6 link-local targets
  std::optional<Address> source;
};

// A non-blocking socket whose connect() is under way.
struct OpenedAttempt {
  system::Fd fd;  // invalid: it did not work on this machine, for the reason `error`
  int error = 0;  // with a valid fd: connect() itself was refused; read_attempt() wants to know it
};
OpenedAttempt open_attempt(const ConnectPath& path);

struct AttemptOutcome {
  enum class Kind {
    pending,      // nothing yet
    answered,     // `verdict` says it
    silent,       // the kernel gave up waiting
    local_error,  // `error` is about this machine
    meaningless,  // connected to itself, or ended by what says nothing about the port: to be repeated
  };
  Kind kind = Kind::pending;
  scan::Verdict verdict = {};  // state, cause, sender, and the round-trip time where the kernel measured it
  int error = 0;
};

// `errors_queued`: the kernel puts ICMP errors about a handshake into the socket's error queue (Linux 5.8 and later), so that a refusal
// without an entry is a RST. Without it ECONNREFUSED may have been either, and the verdict says "errno only".
AttemptOutcome read_attempt(int fd, const Endpoint& target, bool errors_queued, int refused_with = 0);

// SYNs that the kernel sent again on its own.
unsigned retransmissions(int fd);

bool kernel_queues_handshake_errors();

}  // namespace drpf::probe
