// Small datagrams to many places, sent with as few system calls as there can be. What the socket has no room for is lost: whoever misses
// his answer asks again.
#pragma once

#include <array>
#include <vector>

#include "tunnel/wireguard/engine_state.h"

namespace drpf::tunnel::wireguard {

class ReplyBatch {
 public:
  static constexpr std::size_t replies_max = 64;  // sent by themselves when so many wait

  explicit ReplyBatch(EngineState& state) : state_(state) {}
  void add(const Endpoint& to, const system::LocalSource& source, Bytes bytes);
  void flush();

 private:
  struct Reply {
    Endpoint to;
    system::LocalSource source;
    Bytes bytes;
  };
  void flush(std::vector<Reply>& replies, Family family);

  EngineState& state_;
  std::vector<Reply> v4_;
  std::vector<Reply> v6_;
};

}  // namespace drpf::tunnel::wireguard
