// Netlink messages (netlink(7)) as bytes: a writer for requests and a reader for replies. Pure; the socket is in netlink_socket.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/bytes.h"

namespace drpf::system {

// Integers are in host order unless the name says big-endian: netfilter's attributes are big-endian, rtnetlink's are not.
class NetlinkWriter {
 public:
  // Starts a message; the one before is finished by this or by bytes().
  NetlinkWriter& message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence);
  // The family's fixed header (struct nfgenmsg, ifinfomsg, ...), directly after message().
  NetlinkWriter& header(ByteView fixed);

  NetlinkWriter& attribute(std::uint16_t type, ByteView payload);
  NetlinkWriter& text(std::uint16_t type, std::string_view value);  // with the closing zero
  NetlinkWriter& u8(std::uint16_t type, std::uint8_t value);
  NetlinkWriter& u16(std::uint16_t type, std::uint16_t value);
  NetlinkWriter& u32(std::uint16_t type, std::uint32_t value);
  NetlinkWriter& u16_big_endian(std::uint16_t type, std::uint16_t value);
  NetlinkWriter& u32_big_endian(std::uint16_t type, std::uint32_t value);
  NetlinkWriter& u64_big_endian(std::uint16_t type, std::uint64_t value);

  // Nested attributes: close(open(type)). An attribute holds at most 65535 bytes; close() asserts it.
  std::size_t open(std::uint16_t type);
  NetlinkWriter& close(std::size_t opened);

  std::size_t size() const { return buffer_.size(); }
  // Sets a flag (NLM_F_ACK) on the message being written.
  NetlinkWriter& add_flags(std::uint16_t flags);
  ByteView bytes();

 private:
  void finish_message();
  void put(ByteView bytes);
  void pad();
  template <class T>
  void patch(std::size_t at, T value);

  Bytes buffer_;
  std::optional<std::size_t> message_;
};

struct NetlinkAttribute {
  std::uint16_t type = 0;  // without the nested and byte-order flags
  ByteView payload;

  // Zero where the payload has another size: a reply that is not as expected never reads past its end.
  std::uint8_t u8() const;
  std::uint16_t u16() const;
  std::uint32_t u32() const;
  std::uint16_t u16_big_endian() const;
  std::uint32_t u32_big_endian() const;
  std::uint64_t u64_big_endian() const;
  std::string_view text() const;  // up to the first zero
};

// Walks a run of attributes; stops at the first that does not fit.
class NetlinkAttributes {
 public:
  explicit NetlinkAttributes(ByteView bytes) : bytes_(bytes) {}
  std::optional<NetlinkAttribute> next();

 private:
  ByteView bytes_;
};

// The first attribute of this type.
std::optional<NetlinkAttribute> find_attribute(ByteView attributes, std::uint16_t type);

struct NetlinkMessage {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t port_id = 0;
  ByteView payload;

  // What follows the family's fixed header of this size.
  ByteView attributes(std::size_t fixed_header_size) const;
};

// Walks the messages of one datagram; stops at the first that does not fit.
class NetlinkMessages {
 public:
  explicit NetlinkMessages(ByteView bytes) : bytes_(bytes) {}
  std::optional<NetlinkMessage> next();

 private:
  ByteView bytes_;
};

// The content of NLMSG_ERROR: errno (positive, 0 = acknowledged), the sequence it answers, and the kernel's own words if it gave any.
struct NetlinkAnswer {
  int error = 0;
  std::uint32_t sequence = 0;
  std::string_view explanation;
};
std::optional<NetlinkAnswer> read_answer(const NetlinkMessage& message);

}  // namespace drpf::system
