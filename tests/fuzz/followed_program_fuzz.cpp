// What the gateway answers about leases, what the process that looks for programs says, and what the user writes: refused, or a value that
// holds what its reader promises. The first byte chooses the reader.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "client/connect/tunnel_fences.h"
#include "client/follow/follow_rule.h"
#include "client/follow/lease_requests.h"
#include "client/follow/program_watch.h"
#include "client/ports/inform_wish.h"
#include "system/socket_diagnosis.h"

namespace {

using namespace drpf;
using namespace drpf::client;

void must(bool holds) {
  if (!holds) std::abort();
}

bool is_plain(std::string_view text) {
  for (const unsigned char c : text)
    if (c <= 0x20 || c >= 0x7f) return false;
  return !text.empty();
}

void read(std::uint8_t reader, std::string_view text, ByteView bytes) {
  if (reader == 'g') {
    if (const auto given = parse_given_leases(text, Port{25565})) {
      must(given->local_port == Port{25565} && !given->public_port.is_zero() && (given->tcp || given->udp));
      must(given->host.find('/') == std::string::npos && is_plain(given->host));
    }
  } else if (reader == 'f') {
    if (const auto rules = parse_follow_rules(text))
      for (const auto& rule : *rules) must(is_plain(rule.program) && rule.program.find('/') == std::string::npos);
  } else if (reader == 'o') {
    if (const auto open = parse_open_ports(text))
      for (const auto* ranges : {&open->tcp, &open->udp})
        for (std::size_t i = 0; i < ranges->size(); ++i)
          must(!(*ranges)[i].first().is_zero() && (i == 0 || (*ranges)[i - 1].last() < (*ranges)[i].first()));
  } else if (reader == 'i') {
    if (const auto wish = parse_inform_wish(text)) must(is_plain(wish->host) && !wish->port.is_zero() && wish->which > 0);
  } else if (reader == 'w') {
    if (const auto socket = parse_program_watch_line(text)) {
      must(!socket->program.empty() && !socket->port.is_zero());
      const auto again = program_watch_text({*socket});
      must(parse_program_watch_line(std::string_view(again).substr(0, again.find('\n'))) == *socket);
    }
  } else if (reader == 'd') {
    if (const auto socket = system::read_diagnosis(bytes, Protocol::tcp)) must(!socket->listening.local.port.is_zero());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  read(data[0], std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1), ByteView(data + 1, size - 1));
  return 0;
}
