// What an FTP server says (RFC 959, RFC 2428), as a client reads it: replies, the port of a data connection, lines of a listing. Sends
// nothing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/port.h"

namespace drpf::protocol::ftp {

inline constexpr std::size_t reply_bytes_max = 16 * 1024;

struct Reply {
  unsigned code = 0;
  std::string text;  // of its last line
  std::size_t size = 0;
};
enum class ReplyTrouble : std::uint8_t { incomplete, malformed };

// The first reply in `bytes`, all its lines.
struct ReadReply {
  std::optional<Reply> reply;
  ReplyTrouble trouble = ReplyTrouble::incomplete;
};
ReadReply read_reply(std::string_view bytes);

// The port of "229 Entering Extended Passive Mode (|||6446|)", and of "227 ... (h1,h2,h3,h4,p1,p2)": the address in that one is nobody's to
// choose, for it could be another host's.
std::optional<Port> extended_passive_port(std::string_view text);
std::optional<Port> passive_port(std::string_view text);
// "213 1024".
std::optional<std::uint64_t> size_of_file(std::string_view text);

struct Entry {
  std::string name;
  std::string size;  // as it came; empty where it was not understood
  std::string when;
  bool folder = false;
};
// Lines as `ls -l` and as Windows write them; of others the whole line is the name.
std::vector<Entry> read_listing(std::string_view text);

// "a%20b" as it goes into a command; nothing for a bad escape, or what would end the command.
std::optional<std::string> decoded_segment(std::string_view text);

}  // namespace drpf::protocol::ftp
