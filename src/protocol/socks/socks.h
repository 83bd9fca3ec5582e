// The messages of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929) as values, as a server reads and writes them. Opens nothing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <tl/expected.hpp>

#include "core/address.h"
#include "core/bytes.h"
#include "core/port.h"

namespace drpf::protocol::socks {

inline constexpr std::size_t text_bytes_max = 255;  // of a name, a user and a password; of version 4's user too, which has no limit

enum class Command : std::uint8_t { connect = 1, bind = 2, associate = 3 };

using Host = std::variant<Address, std::string>;  // a name is text as it came, without NUL

struct Target {
  Host host;
  std::uint16_t port = 0;  // 0 is possible in requests that name nobody
  bool operator==(const Target&) const = default;
};

// What a message was, as far as it has come.
enum class Trouble : std::uint8_t {
  incomplete,       // more is to come
  malformed,        // there is no answer to it
  unknown_command,  // of an otherwise good request
  unknown_address,  // of version 5: its kind
};
template <class T>
struct Message {
  T value;
  std::size_t size = 0;
};
template <class T>
using Read = tl::expected<Message<T>, Trouble>;

// Version 4, with its version byte.
struct Request4 {
  Command command{};
  Target target;
  std::string user;
  bool operator==(const Request4&) const = default;
};
Read<Request4> read_request4(ByteView bytes);

// Version 5.
inline constexpr std::uint8_t method_none = 0;
inline constexpr std::uint8_t method_password = 2;
inline constexpr std::uint8_t method_refused = 0xff;
struct Greeting {
  bool none = false;
  bool password = false;
};
Read<Greeting> read_greeting(ByteView bytes);
struct Login {
  std::string user;
  std::string password;
};
Read<Login> read_login(ByteView bytes);
struct Request5 {
  Command command{};
  Target target;
  bool operator==(const Request5&) const = default;
};
Read<Request5> read_request5(ByteView bytes);

enum class Outcome : std::uint8_t {  // RFC 1928 section 6
  granted = 0,
  failed = 1,
  not_allowed = 2,
  network_unreachable = 3,
  host_unreachable = 4,
  refused = 5,
  ttl_expired = 6,
  command_unknown = 7,
  address_unknown = 8,
};
// `bound`: version 4 knows no address of version 6, and says none.
Bytes reply4(Outcome outcome, const Endpoint& bound = {});
Bytes reply5(Outcome outcome, const Endpoint& bound = {});

// A datagram of UDP ASSOCIATE: nothing for one that is malformed or a fragment, which nobody has to take (section 7).
struct Datagram {
  Target target;
  ByteView payload;
};
std::optional<Datagram> read_datagram(ByteView bytes);
Bytes datagram_from(const Endpoint& source, ByteView payload);

}  // namespace drpf::protocol::socks
