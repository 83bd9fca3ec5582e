// Asks one port of a device from the gateway's own address inside the tunnel, with an ordinary socket. Whatever comes back, a refusal too,
// is an answer: the device is there and can be heard. A connection that comes about is reset. Waits for nothing.
#pragma once

#include "core/address.h"
#include "core/bytes.h"
#include "core/port.h"
#include "system/fd.h"

namespace drpf::daemon {

class DirectQuestion {
 public:
  // `datagram` is what UDP asks. What cannot be asked is never answered.
  DirectQuestion(Protocol protocol, const Endpoint& at, ByteView datagram);

  bool answered() const;  // so far

 private:
  Protocol protocol_;
  system::Fd socket_;
};

}  // namespace drpf::daemon
