// A TUN device as a file descriptor: created, sized and given its offloads. Addresses, routes and up/down are not done here.
//
// The descriptor is non-blocking. It may be made in one network namespace and used in another.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::system {

inline constexpr const char* tun_device = "/dev/net/tun";

struct TunOptions {
  std::string name = "drpf%d";  // %d: the kernel chooses a number
  std::uint16_t mtu = 1420;
  bool offload = true;  // a header before each packet, checksums and TCP segmentation left to us
  bool uso = true;      // UDP segmentation too, where the kernel has it (6.2)
  int index = 0;        // of the new interface, if nobody has it by then; 0: the kernel chooses
};

// One that stays without anybody who has it open, and that `user` may open and nobody else. One that is there already becomes it.
Status make_persistent_tun(const TunOptions& options, uid_t user);

class Tun {
 public:
  static constexpr int transmit_queue_length = 1000;  // the kernel's 500 is too short for bursts

  static Result<Tun> open(const TunOptions& options);
  // A descriptor that someone else made; `offload_header` says whether packets carry one.
  Tun(Fd fd, std::string name, bool offload_header) : fd_(std::move(fd)), name_(std::move(name)), offload_header_(offload_header) {}

  // Goes on as the other device, of the same name and options, under its own descriptor's number; what that stood for is closed. Threads
  // that use the number meet the new device in their next system call.
  Status become(Tun other);

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  // Each packet read or written has a protocol::ip::OffloadHeader before it.
  bool offload_header() const { return offload_header_; }
  bool uso() const { return uso_; }

 private:
  Fd fd_;
  std::string name_;
  bool offload_header_ = false;
  bool uso_ = false;
};

}  // namespace drpf::system
