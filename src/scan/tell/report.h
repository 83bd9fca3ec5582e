// What a scan found, as text in the usual forms: values in, text out, host by host. Writes nothing anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/time.h"
#include "scan/kind.h"
#include "scan/request.h"
#include "scan/verdict.h"

namespace drpf::scan {

enum class Format : std::uint8_t { table, json, json_lines, xml, grepable, csv };

std::string_view to_string(Format format);
std::optional<Format> find_format(std::string_view name);

struct PortReport {
  std::uint16_t number = 0;
  Verdict verdict;
  std::string service;                // by the registry; empty: unknown
  std::optional<std::string> banner;  // what it said, as it came; none: not asked
  std::string guess;                  // the service by what it said; empty: not known
};

struct PassReport {
  Kind kind = Kind::syn;
  std::vector<PortReport> ports;  // every probed one, ascending
};

enum class HostStatus : std::uint8_t { unknown, up, down };  // unknown: not asked before the ports, and nothing answered; or not begun
std::string_view to_string(HostStatus status);

// Why a host is up that has said nothing else.
inline constexpr std::string_view up_by_arp = "arp-response";
inline constexpr std::string_view up_by_neighbour_discovery = "nd-response";

// "fe80::1%eth0": a link-local address says nothing without its interface (RFC 4007, section 11).
std::string with_zone(const Address& address, std::string_view zone);

struct HostReport {
  Address address;
  std::string zone;      // the interface of a link-local IPv6 address; of others empty
  std::string hardware;  // "52:54:00:12:34:56", where it is a neighbour
  std::string name;      // as the user wrote it, where it was a name
  HostStatus status = HostStatus::unknown;
  std::string status_reason;  // "reset", "no-response", "not begun"
  std::vector<PassReport> passes;
  std::vector<std::string> notes;  // whole sentences
  bool interrupted = false;        // not all of it was asked
  std::string where() const { return with_zone(address, zone); }
};

struct PassHead {
  Kind kind = Kind::syn;
  std::vector<std::uint16_t> numbers;
};

struct ReportHead {
  std::string version;
  std::string command;  // the command line
  WallTime started;
  std::vector<PassHead> passes;
  std::uint64_t targets = 0;
  bool forced = false;  // the number of probes was given by the user
};

struct ReportTail {
  WallTime finished;
  Duration elapsed{};
  Tally tally;
  std::uint64_t hosts_up = 0;
  std::uint64_t hosts_down = 0;
  std::uint64_t hosts_not_begun = 0;
  std::vector<std::string> warnings;   // whole sentences
  std::vector<std::string> undecided;  // "10.0.0.1: 80-90,443 of tcp"
};

inline constexpr std::size_t same_ports_shown_max = 25;

struct ReportOptions {
  bool facts = false;                                 // table: sender, TTL, round-trip time and probes of each port
  bool all = false;                                   // table: no summing up of many ports in the same state
  bool open_only = false;                             // table, grepable: nothing but open ports
  std::size_t same_ports_max = same_ports_shown_max;  // with the same state and reason; more are summed up, but for open ones
};

class Report {
 public:
  virtual ~Report() = default;
  virtual std::string begin(const ReportHead& head) = 0;
  virtual std::string host(const HostReport& host) = 0;
  virtual std::string end(const ReportTail& tail) = 0;
};

// "tcp", "udp", "ip": what stands behind the slash.
std::string_view transport_name(Kind kind);
// The sentences at the end: packets, losses, what may have been missed.
std::vector<std::string> tally_sentences(const ReportHead& head, const ReportTail& tail);
std::string milliseconds_text(Duration d);         // "0.123"
std::string rate_text(double packets_per_second);  // "1234", "0.5"
std::string seconds_text(Duration d);              // "1.23"

// Ports with the same state and reason, that the table, XML and the grepable form sum up where they are many.
struct PortGroup {
  State state = State::undecided;
  std::string reason;
  std::vector<std::uint16_t> numbers;
};
struct SummedUp {
  std::vector<PortGroup> groups;         // the largest first
  std::vector<const PortReport*> shown;  // ascending
};
SummedUp sum_up(const PassReport& pass, const ReportOptions& options);

// Sentences about a host that its ports tell together: a device in between, everything open, nothing answered.
std::vector<std::string> findings(const HostReport& host);
// "answered by a device nearer than the host", for ports whose answers came with another TTL than most of the host's.
void note_odd_ttls(HostReport& host);

}  // namespace drpf::scan
