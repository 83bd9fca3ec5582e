#include "protocol/ip/checksum.h"

#include <cassert>

#include "protocol/ip/wire.h"

namespace drpf::protocol::ip {
namespace {

std::uint64_t tail(const std::uint8_t* bytes, std::size_t size) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, size);
  return word;
}

}  // namespace

// Four words a round, carries counted apart: compilers turn this into add/adc pairs.
std::uint64_t checksum_add(ByteView bytes, std::uint64_t sum) {
  const auto* at = bytes.data();
  auto left = bytes.size();
  std::uint64_t carries = 0;
  for (; left >= 32; at += 32, left -= 32) {
    for (std::size_t i = 0; i < 32; i += 8) {
      const auto word = load_native<std::uint64_t>(at + i);
      sum += word;
      carries += sum < word ? 1 : 0;
    }
  }
  for (; left >= 8; at += 8, left -= 8) sum = add_with_carry(sum, load_native<std::uint64_t>(at));
  if (left > 0) sum = add_with_carry(sum, tail(at, left));
  return add_with_carry(sum, carries);
}

std::uint64_t checksum_copy(ByteView from, MutableByteView to, std::uint64_t sum) {
  assert(to.size() >= from.size());
  const auto* at = from.data();
  auto* out = to.data();
  auto left = from.size();
  std::uint64_t carries = 0;
  for (; left >= 32; at += 32, out += 32, left -= 32) {
    for (std::size_t i = 0; i < 32; i += 8) {
      const auto word = load_native<std::uint64_t>(at + i);
      store_native(out + i, word);
      sum += word;
      carries += sum < word ? 1 : 0;
    }
  }
  if (left > 0) {
    std::memcpy(out, at, left);
    sum = checksum_add({at, left}, sum);
  }
  return add_with_carry(sum, carries);
}

std::uint64_t checksum_pseudo_header(ByteView source_and_destination, std::uint8_t protocol, std::uint32_t length) {
  std::uint8_t rest[8] = {0, 0, 0, 0, 0, 0, 0, protocol};
  store_be32(rest, length);
  return checksum_add(rest, checksum_add(source_and_destination));
}

}  // namespace drpf::protocol::ip
