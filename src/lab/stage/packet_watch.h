// Sees the packets that pass one machine, on all its interfaces and in both directions. For facts of the kind "nothing arrived".
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "core/result.h"
#include "lab/stage/machine.h"
#include "system/fd.h"

namespace drpf::lab {

class PacketWatch {
 public:
  static Result<PacketWatch> on(const Machine& machine);
  // How many IP packets with `one` and with `other` in them have passed since the last call.
  std::pair<std::size_t, std::size_t> count(const std::string& one, const std::string& other);

 private:
  explicit PacketWatch(system::Fd socket) : socket_(std::move(socket)) {}
  system::Fd socket_;
};

}  // namespace drpf::lab
