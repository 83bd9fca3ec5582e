// Reads a received packet: which probe it answers, and what it says. Every packet may be forged, cut short or somebody else's; checksums
// are not judged, because captured packets of virtual links carry unfinished ones. Keeps nothing: whether that probe was sent is known
// to the schedule.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/bytes.h"
#include "scan/answer.h"
#include "scan/ask/probe_key.h"
#include "scan/kind.h"

namespace drpf::scan {

// The source ports of a scan: which one tells the how-manieth probe it was (schedule.h).
struct SourcePorts {
  static constexpr std::uint16_t count = 64;
  std::uint16_t first = 0;
  bool contains(std::uint16_t port) const { return port >= first && port - first < count; }
};

struct Reply {
  Address target;
  std::uint16_t number = 0;
  std::uint16_t source_port = 0;  // of the probe; 0: an answer to an IP protocol probe does not tell
  Answer answer;
};

enum class Reading : std::uint8_t {
  not_ours,  // other traffic of this machine
  stray,     // comes to a port of ours, or quotes a packet of ours, and does not belong to any probe
  reply,
};

class ReplyReader {
 public:
  ReplyReader(Kind kind, const ProbeKey& key, SourcePorts ports, const Address& local)
      : kind_(kind), key_(key), ports_(ports), local_(local) {}

  // `packet` begins with the IP header. `reply` is written only with Reading::reply.
  Reading read(ByteView packet, Reply& reply) const;

 private:
  struct Headers {
    Address source;
    Address destination;
    std::uint8_t protocol = 0;
    std::uint8_t ttl = 0;
    std::uint16_t identification = 0;  // IPv4
    std::size_t payload = 0;           // where it begins
    bool later_fragment = false;
  };
  static bool read_headers(ByteView bytes, Headers& headers);

  Reading read_tcp(const Headers& headers, ByteView tcp, Reply& reply) const;
  Reading read_udp(const Headers& headers, ByteView udp, Reply& reply) const;
  Reading read_icmp(const Headers& headers, ByteView icmp, Reply& reply) const;
  Reading read_quote(ByteView quote, Reply& reply) const;
  Reading read_quoted_ports(const Headers& quoted, ByteView transport, std::uint16_t port_asked, Reply& reply) const;
  // The source port that this probe without ports stands for; none: it is no probe of ours.
  std::optional<std::uint16_t> source_of_bare_probe(const Headers& probe, ByteView payload) const;
  Reading read_echo(const Headers& headers, ByteView icmp, Reply& reply) const;
  bool acknowledges(const ProbeMark& mark, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgement) const;

  Kind kind_;
  ProbeKey key_;
  SourcePorts ports_;
  Address local_;
};

}  // namespace drpf::scan
