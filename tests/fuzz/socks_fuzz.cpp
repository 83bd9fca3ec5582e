// Any bytes as each message of SOCKS: never a read past the end, what was read lies within, and more bytes behind it change nothing.
#include <cstdint>
#include <cstdlib>

#include "protocol/socks/socks.h"
#include "proxy/socks_reply.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::socks;

void must(bool good) {
  if (!good) std::abort();
}

template <class ReadMessage>
void read(ReadMessage read_message, ByteView bytes) {
  const auto message = read_message(bytes);
  if (!message) return;
  must(message->size > 0 && message->size <= bytes.size());
  const auto alone = read_message(bytes.first(message->size));
  must(alone && alone->size == message->size);
  const auto cut = read_message(bytes.first(message->size - 1));
  must(!cut && cut.error() == Trouble::incomplete);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  read(read_request4, bytes);
  read(read_greeting, bytes);
  read(read_login, bytes);
  read(read_request5, bytes);
  if (const auto request = read_request5(bytes)) (void)proxy::host_of(request->value.target.host);
  if (const auto datagram = read_datagram(bytes)) {
    must(datagram->payload.size() < size);
    if (const auto* address = std::get_if<Address>(&datagram->target.host))
      must(datagram_from({*address, Port{datagram->target.port}}, datagram->payload).size() == size);
  }
  return 0;
}
