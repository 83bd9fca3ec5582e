#include "tunnel/wireguard/tun_writer.h"

#include <spdlog/logger.h>

#include <cerrno>
#include <cstring>

#include "protocol/ip/splitter.h"

namespace drpf::tunnel::wireguard {

using protocol::ip::Merger;
using protocol::ip::OffloadHeader;

void TunWriter::write(Merger& merger) {
  merger.finish([this](const Merger::Output& output) { write_output(output); });
  merger.set_features(
      {state_.switches.merge_tcp.load(std::memory_order_relaxed), state_.switches.merge_udp.load(std::memory_order_relaxed)});
}

void TunWriter::write_output(const Merger::Output& output) {
  if (write_parts(output.header, output.pieces)) return;
  const int error = errno;
  if (output.segments == 1 || (error != EINVAL && error != EIO && error != EMSGSIZE)) {
    Counters::add(state_.counters.tun_write_failed, output.segments);
    return;
  }
  if (error != EIO) give_up_merging(output.header, error);  // EIO: the device is down
  write_split(output);
}

// The pieces as they came in: the split gives back what the merge joined.
void TunWriter::write_split(const Merger::Output& output) {
  Bytes whole;
  for (const auto piece : output.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
  auto splitter = protocol::ip::Splitter::start(output.header, whole);
  if (!splitter) return Counters::add(state_.counters.tun_write_failed, output.segments);
  Bytes packet;
  while (!splitter->done()) {
    packet.resize(splitter->next_size());
    splitter->next(packet);
    const ByteView piece(packet);
    if (!write_parts({}, {&piece, 1})) Counters::add(state_.counters.tun_write_failed);
  }
}

bool TunWriter::write_parts(const OffloadHeader& header, std::span<const ByteView> pieces) {
  std::array<iovec, Merger::tcp_segments_max + 1> parts;
  auto first = header;
  std::size_t count = 0;
  if (state_.tun.offload_header()) parts[count++] = {&first, sizeof first};
  for (const auto piece : pieces) parts[count++] = {const_cast<std::uint8_t*>(piece.data()), piece.size()};
  for (;;) {
    if (state_.io.write_tun(state_.tun.fd(), std::span<const iovec>(parts).first(count)) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

void TunWriter::give_up_merging(const OffloadHeader& header, int error) {
  const bool udp = header.gso_type == OffloadHeader::gso_udp;
  if (!(udp ? state_.switches.merge_udp : state_.switches.merge_tcp).exchange(false)) return;
  Counters::add(udp ? state_.counters.tun_uso_given_up : state_.counters.tun_tso_given_up);
  state_.log->warn("the TUN device '{}' refuses merged {} packets ({}); they are written singly from now on", state_.tun.name(),
                   udp ? "UDP" : "TCP", std::strerror(error));
}

}  // namespace drpf::tunnel::wireguard
