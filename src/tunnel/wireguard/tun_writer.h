// Writes what a Merger holds to the TUN device. When the device refuses a superpacket, that kind of merging ends and the packets go singly.
#pragma once

#include <span>
#include <vector>

#include "protocol/ip/merger.h"
#include "tunnel/wireguard/engine_state.h"

namespace drpf::tunnel::wireguard {

class TunWriter {
 public:
  explicit TunWriter(EngineState& state) : state_(state) {}
  // Empties the merger, and sets its features for the next round.
  void write(protocol::ip::Merger& merger);

 private:
  void write_output(const protocol::ip::Merger::Output& output);
  void write_split(const protocol::ip::Merger::Output& output);
  bool write_parts(const protocol::ip::OffloadHeader& header, std::span<const ByteView> pieces);
  void give_up_merging(const protocol::ip::OffloadHeader& header, int error);

  EngineState& state_;
};

}  // namespace drpf::tunnel::wireguard
