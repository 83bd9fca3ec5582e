#include "protocol/socks/socks.h"

#include <algorithm>
#include <utility>

namespace drpf::protocol::socks {
namespace {

constexpr std::uint8_t version4 = 4;
constexpr std::uint8_t version5 = 5;
constexpr std::uint8_t login_version = 1;
constexpr std::uint8_t kind_v4 = 1;
constexpr std::uint8_t kind_name = 3;
constexpr std::uint8_t kind_v6 = 4;
constexpr std::uint8_t granted4 = 90;
constexpr std::uint8_t refused4 = 91;

tl::unexpected<Trouble> trouble(Trouble what) { return tl::unexpected<Trouble>(what); }

std::string text_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

bool has_nul(ByteView bytes) { return std::find(bytes.begin(), bytes.end(), 0) != bytes.end(); }

// Up to its NUL, which is taken too.
tl::expected<std::string, Trouble> read_text4(ByteReader& reader, ByteView bytes) {
  const auto rest = bytes.subspan(reader.position());
  const auto end = std::find(rest.begin(), rest.end(), 0);
  const auto size = static_cast<std::size_t>(end - rest.begin());
  if (size > text_bytes_max) return trouble(Trouble::malformed);
  if (end == rest.end()) return trouble(Trouble::incomplete);
  auto text = text_of(rest.first(size));
  reader.skip(size + 1);
  return text;
}

tl::expected<Target, Trouble> read_target5(ByteReader& reader) {
  const auto kind = reader.u8();
  Target target;
  if (reader.failed()) return trouble(Trouble::incomplete);
  if (kind == kind_v4 || kind == kind_v6) {
    const auto bytes = reader.bytes(kind == kind_v4 ? 4 : 16);
    if (reader.failed()) return trouble(Trouble::incomplete);
    target.host = Address::from_bytes(bytes);
  } else if (kind == kind_name) {
    const auto name = reader.bytes(reader.u8());
    if (reader.failed()) return trouble(Trouble::incomplete);
    if (name.empty() || has_nul(name)) return trouble(Trouble::malformed);
    target.host = text_of(name);
  } else {
    return trouble(Trouble::unknown_address);
  }
  target.port = reader.u16_be();
  if (reader.failed()) return trouble(Trouble::incomplete);
  return target;
}

void write_target5(ByteWriter& writer, const Endpoint& endpoint) {
  writer.u8(endpoint.address.is_v4() ? kind_v4 : kind_v6).bytes(endpoint.address.bytes()).u16_be(endpoint.port.value());
}

bool is_command(std::uint8_t code) { return code >= 1 && code <= 3; }

}  // namespace

Read<Request4> read_request4(ByteView bytes) {
  ByteReader reader(bytes);
  if (!bytes.empty() && reader.u8() != version4) return trouble(Trouble::malformed);
  Request4 request;
  const auto command = reader.u8();
  request.target.port = reader.u16_be();
  const auto address = reader.u32_be();
  if (reader.failed()) return trouble(Trouble::incomplete);
  auto user = read_text4(reader, bytes);
  if (!user) return trouble(user.error());
  request.user = std::move(*user);
  request.target.host = Address::v4(address);
  if (address != 0 && address < 256) {  // 4a: 0.0.0.x, and the name comes behind the user
    auto name = read_text4(reader, bytes);
    if (!name) return trouble(name.error());
    if (name->empty()) return trouble(Trouble::malformed);
    request.target.host = std::move(*name);
  }
  if (!is_command(command) || command == static_cast<std::uint8_t>(Command::associate)) return trouble(Trouble::unknown_command);
  request.command = static_cast<Command>(command);
  return Message<Request4>{std::move(request), reader.position()};
}

Read<Greeting> read_greeting(ByteView bytes) {
  ByteReader reader(bytes);
  if (!bytes.empty() && reader.u8() != version5) return trouble(Trouble::malformed);
  const auto methods = reader.bytes(reader.u8());
  if (reader.failed() || bytes.empty()) return trouble(Trouble::incomplete);
  const auto offers = [&](std::uint8_t method) { return std::find(methods.begin(), methods.end(), method) != methods.end(); };
  return Message<Greeting>{{offers(method_none), offers(method_password)}, reader.position()};
}

Read<Login> read_login(ByteView bytes) {
  ByteReader reader(bytes);
  if (!bytes.empty() && reader.u8() != login_version) return trouble(Trouble::malformed);
  const auto user = reader.bytes(reader.u8());
  const auto password = reader.bytes(reader.u8());
  if (reader.failed() || bytes.empty()) return trouble(Trouble::incomplete);
  if (has_nul(user) || has_nul(password)) return trouble(Trouble::malformed);
  return Message<Login>{{text_of(user), text_of(password)}, reader.position()};
}

Read<Request5> read_request5(ByteView bytes) {
  ByteReader reader(bytes);
  if (!bytes.empty() && reader.u8() != version5) return trouble(Trouble::malformed);
  const auto command = reader.u8();
  reader.skip(1);  // RSV: some clients leave something in it
  auto target = read_target5(reader);
  if (!target) return trouble(target.error());
  if (!is_command(command)) return trouble(Trouble::unknown_command);
  return Message<Request5>{{static_cast<Command>(command), std::move(*target)}, reader.position()};
}

Bytes reply4(Outcome outcome, const Endpoint& bound) {
  ByteWriter writer;
  writer.u8(0).u8(outcome == Outcome::granted ? granted4 : refused4);
  const bool sayable = bound.address.is_v4();
  writer.u16_be(sayable ? bound.port.value() : std::uint16_t{0}).u32_be(sayable ? bound.address.v4_host_order() : 0);
  return writer.take();
}

Bytes reply5(Outcome outcome, const Endpoint& bound) {
  ByteWriter writer;
  writer.u8(version5).u8(static_cast<std::uint8_t>(outcome)).u8(0);
  write_target5(writer, bound);
  return writer.take();
}

std::optional<Datagram> read_datagram(ByteView bytes) {
  ByteReader reader(bytes);
  reader.skip(2);
  if (const auto fragment = reader.u8(); fragment != 0) return std::nullopt;
  auto target = read_target5(reader);
  if (!target) return std::nullopt;
  return Datagram{std::move(*target), reader.rest()};
}

Bytes datagram_from(const Endpoint& source, ByteView payload) {
  ByteWriter writer;
  writer.u16_be(0).u8(0);
  write_target5(writer, source);
  writer.bytes(payload);
  return writer.take();
}

}  // namespace drpf::protocol::socks
