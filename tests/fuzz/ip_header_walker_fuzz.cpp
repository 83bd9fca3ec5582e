// Whatever bytes a device or a peer hands over: walking, splitting and merging stay inside the buffers, and what is merged comes apart
// again.
//
// Input: an offload header (10 bytes), then packets, each after its length (2 bytes, little-endian).
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/bytes.h"
#include "protocol/ip/merger.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/splitter.h"
#include "protocol/ip/too_big.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::ip;

constexpr std::size_t packets_max = 64;
constexpr std::size_t segments_looked_at_max = 2048;

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t split(const OffloadHeader& header, ByteView packet) {
  auto splitter = Splitter::start(header, packet);
  if (!splitter) return 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < segments_looked_at_max && !splitter->done(); ++i) {
    Bytes one(splitter->next_size());
    require(one.size() <= splitter->size_max());
    require(splitter->next(one) == one.size());
    bytes += one.size();
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  OffloadHeader header;
  if (size < sizeof header) return 0;
  std::memcpy(&header, data, sizeof header);
  const ByteView rest(data + sizeof header, size - sizeof header);
  split(header, rest);
  too_big_answer(rest, 1280);

  ByteReader reader(rest);
  std::vector<Bytes> packets;
  while (!reader.at_end() && packets.size() < packets_max) {
    const auto length = reader.u16_le();
    const auto bytes = reader.bytes(std::min<std::size_t>(length, reader.remaining()));
    const auto layout = walk(bytes);
    if (!layout) continue;
    require(layout->length <= bytes.size());
    require(layout->data_offset() <= layout->length);
    require(addresses(bytes).size() == (layout->family == Family::v4 ? 8U : 32U));
    packets.emplace_back(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(layout->length));
  }
  Merger merger;
  std::size_t in = 0;
  std::size_t out = 0;
  for (auto& packet : packets) {
    in += packet.size();
    merger.add(packet, *walk(packet));
  }
  merger.finish([&](const Merger::Output& output) {
    Bytes whole;
    for (const auto piece : output.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    const auto came_apart = split(output.header, whole);
    require(came_apart != 0);
    out += came_apart;
  });
  require(in == out);
  return 0;
}
