// Which program is to be told its listening port, as the user wrote it: "qbittorrent=http://admin@127.0.0.1:8080,port=2". Values only;
// speaks to nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/port.h"
#include "core/result.h"

namespace drpf::client {

inline constexpr std::size_t inform_wishes_max = 16;
inline constexpr std::size_t password_size_max = 1024;

enum class InformedProgram : std::uint8_t { qbittorrent, transmission };
std::string_view to_string(InformedProgram program);

struct InformWish {
  InformedProgram program = InformedProgram::qbittorrent;
  std::string host;  // an address, "localhost", or a name
  Port port{80};     // where the program's own interface listens
  std::string path;  // before what the program's protocol adds; no slash at its end
  std::string user;  // empty: no login
  std::string password;
  bool password_on_command_line = false;
  std::optional<std::string> password_file;
  std::uint32_t which = 1;  // the first, second, ... of the ports that fit
  bool operator==(const InformWish&) const = default;

  // "qbittorrent at 127.0.0.1:8080"
  std::string name() const;
};

// NAME=URL[,port=N][,password-file=FILE]; URL is http://[USER[:PASSWORD]@]HOST[:PORT][/PATH].
Result<InformWish> parse_inform_wish(std::string_view text);

// Fills the password in: from the file, which nobody else may read, or from the environment (DRPF_QBITTORRENT_PASSWORD,
// DRPF_TRANSMISSION_PASSWORD), unless the URL has it.
Status find_password(InformWish& wish);

}  // namespace drpf::client
