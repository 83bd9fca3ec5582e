// Any packet as an answer to a scan, of every kind and both families: it is read without harm, and what it is said to answer lies within
// what can have been asked.
#include <cstdlib>

#include "scan/ask/reply_packet.h"

namespace {

using namespace drpf;

class Zeros final : public Random {
 public:
  void fill(MutableByteView out) override { std::fill(out.begin(), out.end(), std::uint8_t{0}); }
};

}  // namespace

// The first byte chooses kind and family.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static Zeros zeros;
  const scan::ProbeKey key(zeros);
  const auto kinds = scan::kinds();
  const auto kind = kinds[(data[0] >> 1) % kinds.size()];
  const auto local = (data[0] & 1) == 0 ? Address::v4(0xc0000201) : *parse_address("2001:db8::1");
  const scan::ReplyReader reader(kind, key, {61000}, local);
  scan::Reply reply;
  if (reader.read({data + 1, size - 1}, reply) != scan::Reading::reply) return 0;
  if (reply.target.family() != local.family()) std::abort();
  if (reply.source_port != 0 && !scan::SourcePorts{61000}.contains(reply.source_port)) std::abort();
  if (kind == scan::Kind::ip_protocol && reply.number > 255) std::abort();
  if (reply.answer.from_target && reply.answer.sender != reply.target) std::abort();
  (void)scan::meaning_of(kind, reply.answer);
  return 0;
}
