// The secret of one scan: every probe carries a number that only its answer can repeat, so that nothing has to be remembered per probe
// to tell an answer from a forgery. SipHash-2-4 (Aumasson and Bernstein 2012).
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "core/address.h"
#include "core/random.h"
#include "protocol/ip/wire.h"

namespace drpf::scan {

struct SipHashKey {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

// Of a message of whole 64-bit words, each as eight little-endian bytes.
constexpr std::uint64_t sip_hash(const SipHashKey& key, std::span<const std::uint64_t> words) {
  std::uint64_t a = key.first ^ 0x736f6d6570736575U;
  std::uint64_t b = key.second ^ 0x646f72616e646f6dU;
  std::uint64_t c = key.first ^ 0x6c7967656e657261U;
  std::uint64_t d = key.second ^ 0x7465646279746573U;
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      a += b;
      b = std::rotl(b, 13) ^ a;
      a = std::rotl(a, 32);
      c += d;
      d = std::rotl(d, 16) ^ c;
      a += d;
      d = std::rotl(d, 21) ^ a;
      c += b;
      b = std::rotl(b, 17) ^ c;
      c = std::rotl(c, 32);
    }
  };
  const auto absorb = [&](std::uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  };
  for (const auto word : words) absorb(word);
  absorb(static_cast<std::uint64_t>(words.size() * 8) << 56);  // the last word: what is left of the message (nothing) and its length
  c ^= 0xff;
  rounds(4);
  return a ^ b ^ c ^ d;
}

// What a probe carries and its answer repeats.
struct ProbeMark {
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgement = 0;                                                                                   // of probes with ACK
  std::uint16_t identification() const { return static_cast<std::uint16_t>((sequence ^ acknowledgement) >> 16 | 1); }  // IPv4; never 0
};

class ProbeKey {
 public:
  ProbeKey() = default;
  explicit ProbeKey(Random& random) : key_{random.u64(), random.u64()} {}

  ProbeMark mark(const Address& target, std::uint16_t number, std::uint16_t source_port) const {
    const auto bytes = target.bytes();
    std::uint64_t words[3] = {0, 0, std::uint64_t{number} << 16 | source_port};
    if (target.is_v4()) {
      words[0] = protocol::ip::load_be32(bytes.data());
    } else {
      words[0] = protocol::ip::load_le64(bytes.data());
      words[1] = protocol::ip::load_le64(bytes.data() + 8);
    }
    const auto hash = sip_hash(key_, words);
    return {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32)};
  }

 private:
  SipHashKey key_;
};

}  // namespace drpf::scan
