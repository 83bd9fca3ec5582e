// Any bytes as what an FTP server says: a reply lies within what came, a listing has names, and no segment of an address ends a command.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "protocol/ftp/replies.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::protocol::ftp;
  const std::string text(data, data + size);
  if (const auto read = read_reply(text); read.reply) {
    if (read.reply->size > size || read.reply->code < 100 || read.reply->code > 599) std::abort();
    (void)extended_passive_port(read.reply->text);
    (void)passive_port(read.reply->text);
  }
  (void)extended_passive_port(text);
  (void)passive_port(text);
  for (const auto& entry : read_listing(text))
    if (entry.name.empty() || entry.name.find('\n') != std::string::npos) std::abort();
  const auto segment = decoded_segment(text);
  if (segment && segment->find_first_of(std::string("\r\n\0", 3)) != std::string::npos) std::abort();
  return 0;
}
