#include "system/netlink_message.h"

#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>

namespace drpf::system {
namespace {

constexpr std::size_t message_header_size = 16;  // struct nlmsghdr
constexpr std::size_t attribute_header_size = 4;
[[maybe_unused]] constexpr std::size_t attribute_size_max = 65535;  // asserted only

constexpr std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

template <class T>
std::array<std::uint8_t, sizeof(T)> host_bytes(T value) {
  return std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
}

template <class T>
T host_value(ByteView bytes) {
  T value{};
  if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <class T>
T big_endian_value(ByteView bytes) {
  if (bytes.size() != sizeof(T)) return 0;
  std::uint64_t value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  return static_cast<T>(value);
}

}  // namespace

void NetlinkWriter::put(ByteView bytes) { buffer_.insert(buffer_.end(), bytes.begin(), bytes.end()); }
void NetlinkWriter::pad() { buffer_.resize(aligned(buffer_.size()), 0); }

template <class T>
void NetlinkWriter::patch(std::size_t at, T value) {
  const auto bytes = host_bytes(value);
  std::copy(bytes.begin(), bytes.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
}

void NetlinkWriter::finish_message() {
  if (!message_) return;
  patch(*message_, static_cast<std::uint32_t>(buffer_.size() - *message_));
  message_.reset();
}

NetlinkWriter& NetlinkWriter::message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence) {
  finish_message();
  message_ = buffer_.size();
  put(host_bytes(std::uint32_t{0}));
  put(host_bytes(type));
  put(host_bytes(flags));
  put(host_bytes(sequence));
  put(host_bytes(std::uint32_t{0}));
  return *this;
}

NetlinkWriter& NetlinkWriter::header(ByteView fixed) {
  put(fixed);
  pad();
  return *this;
}

NetlinkWriter& NetlinkWriter::attribute(std::uint16_t type, ByteView payload) {
  assert(attribute_header_size + payload.size() <= attribute_size_max);
  put(host_bytes(static_cast<std::uint16_t>(attribute_header_size + payload.size())));
  put(host_bytes(type));
  put(payload);
  pad();
  return *this;
}

NetlinkWriter& NetlinkWriter::text(std::uint16_t type, std::string_view value) {
  Bytes bytes(value.begin(), value.end());
  bytes.push_back(0);
  return attribute(type, bytes);
}

NetlinkWriter& NetlinkWriter::u8(std::uint16_t type, std::uint8_t value) { return attribute(type, host_bytes(value)); }
NetlinkWriter& NetlinkWriter::u16(std::uint16_t type, std::uint16_t value) { return attribute(type, host_bytes(value)); }
NetlinkWriter& NetlinkWriter::u32(std::uint16_t type, std::uint32_t value) { return attribute(type, host_bytes(value)); }
NetlinkWriter& NetlinkWriter::u16_big_endian(std::uint16_t type, std::uint16_t value) {
  return attribute(type, ByteWriter().u16_be(value).view());
}
NetlinkWriter& NetlinkWriter::u32_big_endian(std::uint16_t type, std::uint32_t value) {
  return attribute(type, ByteWriter().u32_be(value).view());
}
NetlinkWriter& NetlinkWriter::u64_big_endian(std::uint16_t type, std::uint64_t value) {
  return attribute(type, ByteWriter().u64_be(value).view());
}

std::size_t NetlinkWriter::open(std::uint16_t type) {
  const auto at = buffer_.size();
  put(host_bytes(std::uint16_t{0}));
  put(host_bytes(static_cast<std::uint16_t>(type | NLA_F_NESTED)));
  return at;
}

NetlinkWriter& NetlinkWriter::close(std::size_t opened) {
  const auto size = buffer_.size() - opened;
  assert(size <= attribute_size_max);
  patch(opened, static_cast<std::uint16_t>(size));
  return *this;
}

NetlinkWriter& NetlinkWriter::add_flags(std::uint16_t flags) {
  assert(message_);
  const auto at = *message_ + 6;
  patch(at, static_cast<std::uint16_t>(host_value<std::uint16_t>(ByteView(buffer_).subspan(at, 2)) | flags));
  return *this;
}

ByteView NetlinkWriter::bytes() {
  finish_message();
  return buffer_;
}

std::uint8_t NetlinkAttribute::u8() const { return host_value<std::uint8_t>(payload); }
std::uint16_t NetlinkAttribute::u16() const { return host_value<std::uint16_t>(payload); }
std::uint32_t NetlinkAttribute::u32() const { return host_value<std::uint32_t>(payload); }
std::uint16_t NetlinkAttribute::u16_big_endian() const { return big_endian_value<std::uint16_t>(payload); }
std::uint32_t NetlinkAttribute::u32_big_endian() const { return big_endian_value<std::uint32_t>(payload); }
std::uint64_t NetlinkAttribute::u64_big_endian() const { return big_endian_value<std::uint64_t>(payload); }

std::string_view NetlinkAttribute::text() const {
  const auto end = std::find(payload.begin(), payload.end(), std::uint8_t{0});
  return {reinterpret_cast<const char*>(payload.data()), static_cast<std::size_t>(end - payload.begin())};
}

std::optional<NetlinkAttribute> NetlinkAttributes::next() {
  if (bytes_.size() < attribute_header_size) return std::nullopt;
  const auto size = host_value<std::uint16_t>(bytes_.first(2));
  const auto type = host_value<std::uint16_t>(bytes_.subspan(2, 2));
  if (size < attribute_header_size || size > bytes_.size()) return std::nullopt;
  const NetlinkAttribute attribute{static_cast<std::uint16_t>(type & NLA_TYPE_MASK),
                                   bytes_.subspan(attribute_header_size, size - attribute_header_size)};
  bytes_ = bytes_.subspan(std::min(aligned(size), bytes_.size()));
  return attribute;
}

std::optional<NetlinkAttribute> find_attribute(ByteView attributes, std::uint16_t type) {
  NetlinkAttributes walk(attributes);
  while (const auto attribute = walk.next())
    if (attribute->type == type) return attribute;
  return std::nullopt;
}

ByteView NetlinkMessage::attributes(std::size_t fixed_header_size) const {
  return payload.subspan(std::min(aligned(fixed_header_size), payload.size()));
}

std::optional<NetlinkMessage> NetlinkMessages::next() {
  if (bytes_.size() < message_header_size) return std::nullopt;
  const auto size = host_value<std::uint32_t>(bytes_.first(4));
  if (size < message_header_size || size > bytes_.size()) return std::nullopt;
  const NetlinkMessage message{.type = host_value<std::uint16_t>(bytes_.subspan(4, 2)),
                               .flags = host_value<std::uint16_t>(bytes_.subspan(6, 2)),
                               .sequence = host_value<std::uint32_t>(bytes_.subspan(8, 4)),
                               .port_id = host_value<std::uint32_t>(bytes_.subspan(12, 4)),
                               .payload = bytes_.subspan(message_header_size, size - message_header_size)};
  bytes_ = bytes_.subspan(std::min(aligned(size), bytes_.size()));
  return message;
}

std::optional<NetlinkAnswer> read_answer(const NetlinkMessage& message) {
  // NLMSG_ERROR: int error, then the header of the request, then (NLM_F_ACK_TLVS) attributes after the request's own payload, which
  // NETLINK_CAP_ACK leaves out.
  if (message.type != NLMSG_ERROR || message.payload.size() < 4 + message_header_size) return std::nullopt;
  NetlinkAnswer answer;
  const auto error = host_value<std::int32_t>(message.payload.first(4));
  if (error > 0 || error < -4095) return std::nullopt;
  answer.error = -error;
  answer.sequence = host_value<std::uint32_t>(message.payload.subspan(4 + 8, 4));
  if ((message.flags & NLM_F_ACK_TLVS) != 0 && (message.flags & NLM_F_CAPPED) != 0)
    if (const auto explanation = find_attribute(message.payload.subspan(4 + message_header_size), NLMSGERR_ATTR_MSG))
      answer.explanation = explanation->text();
  return answer;
}

}  // namespace drpf::system
