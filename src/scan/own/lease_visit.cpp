#include "scan/own/lease_visit.h"

#include "scan/answer.h"
#include "scan/ask/reply_packet.h"

namespace drpf::scan {
namespace {

// Beyond the ports that hosts choose by themselves, so that no connection of this host is met; the reader wants a run of them.
constexpr std::uint16_t first_source_port = 61'000;
constexpr std::uint32_t source_ports = 65'536 - SourcePorts::count - first_source_port;

template <class Write>
Bytes written(const Write& write) {
  Bytes packet(probe_size_max);
  packet.resize(write(MutableByteView(packet)));
  return packet;
}

}  // namespace

LeaseVisit::LeaseVisit(Protocol protocol, const Address& from, const Endpoint& to, Port service, Random& random)
    : protocol_(protocol),
      key_(random),
      ends_{.local = from,
            .target = to.address,
            .source_port = static_cast<std::uint16_t>(first_source_port + random.u32() % source_ports),
            .number = to.port.value(),
            .service = service.value()} {}

Bytes LeaseVisit::packet() const {
  return written([&](MutableByteView out) { return write_probe(out, kind(), ends_, key_); });
}

Bytes LeaseVisit::reset() const {
  return written([&](MutableByteView out) { return write_reset(out, ends_, key_); });
}

std::optional<Verdict> LeaseVisit::answer_in(ByteView packet) const {
  const ReplyReader reader(kind(), key_, SourcePorts{.first = ends_.source_port}, ends_.local);
  Reply reply;
  if (reader.read(packet, reply) != Reading::reply || reply.source_port != ends_.source_port || reply.target != ends_.target ||
      reply.number != ends_.number)
    return std::nullopt;
  const auto meaning = meaning_of(kind(), reply.answer);
  if (!meaning) return std::nullopt;
  Verdict verdict;
  verdict.state = meaning->state;
  verdict.cause = meaning->cause;
  verdict.detail = meaning->detail;
  verdict.ttl = reply.answer.ttl;
  if (!reply.answer.from_target) verdict.sender = reply.answer.sender;
  return verdict;
}

}  // namespace drpf::scan
