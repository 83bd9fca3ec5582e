// Elements of nftables sets and maps as values, and as netlink bytes. Every element written here has a timeout: one without would outlive
// us, so the encoder cannot write it. Pure; the conversation is in nft_table.h.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/port.h"
#include "core/result.h"
#include "system/netlink_message.h"

namespace drpf::system {

// A key or a value as the kernel holds it: each part of a concatenation filled up to four bytes. Kept inside the object, for there are
// hundreds of thousands of them.
class NftData {
 public:
  static constexpr std::size_t size_max = 32;  // an IPv6 address and the name of an interface

  NftData() = default;
  // Nothing where there are too many bytes: not one of ours.
  static std::optional<NftData> from(ByteView bytes);

  NftData& address(const Address& value);
  NftData& protocol(Protocol value);
  NftData& port(Port value);
  NftData& mark(std::uint32_t value);         // host order, as packet and conntrack marks are
  NftData& interface(std::string_view name);  // of at most 15 characters

  ByteView bytes() const { return {bytes_.data(), size_}; }
  bool empty() const { return size_ == 0; }
  auto operator<=>(const NftData&) const = default;

 private:
  void append(ByteView bytes);

  std::array<std::uint8_t, size_max> bytes_{};
  std::uint8_t size_ = 0;
};

struct NftElement {
  NftData key;
  NftData data;                          // empty for a set
  std::chrono::milliseconds timeout{0};  // in a dump: what is left of it
  bool operator==(const NftElement&) const = default;
};

// The commands of one transaction. The kernel does all or nothing of it.
class NftBatch {
 public:
  explicit NftBatch(std::string table) : table_(std::move(table)) {}

  // Error "element_without_timeout" for a timeout that is not positive; nothing is added to the batch then.
  Status add(std::string_view set, const std::vector<NftElement>& elements);
  // Whether the kernel is to say what it took away. Such replies wait in the socket's buffer, so ask for a few only.
  enum class Echo : std::uint8_t { no, yes };
  // Fails in the kernel (ENOENT) where one is missing.
  void remove(std::string_view set, const std::vector<NftData>& keys, Echo echo = Echo::no);
  // Like remove, but what is missing is no error; Linux 6.3 or newer.
  void destroy(std::string_view set, const std::vector<NftData>& keys, Echo echo = Echo::no);
  void put_table(std::uint32_t flags);  // creates it, or changes its flags
  void remove_table();

  bool empty() const { return commands_.empty(); }
  std::size_t size_estimate() const { return size_estimate_; }
  // The bytes, numbered from `first`; the last command asks for an acknowledgement and has the number that is returned in `last`.
  NetlinkWriter encode(std::uint32_t first, std::uint32_t& last) const;

  static constexpr std::size_t element_list_bytes_max = 60'000;  // an attribute holds 65535 bytes

 private:
  struct Command {
    std::uint16_t type = 0;
    std::uint16_t flags = 0;
    std::string set;  // empty: about the table
    std::uint32_t table_flags = 0;
    std::vector<NftElement> elements;
  };
  void put_removals(std::uint16_t type, std::string_view set, const std::vector<NftData>& keys, Echo echo);
  void put_elements(std::uint16_t type, std::uint16_t flags, std::string_view set, const std::vector<NftElement>& elements);

  std::string table_;
  std::vector<Command> commands_;
  std::size_t size_estimate_ = 0;
};

// An element with what its counter says.
struct NftCounted {
  std::string set;
  NftData key;
  NftData data;
  std::optional<std::uint64_t> packets;  // none: it has no counter
  bool operator==(const NftCounted&) const = default;
};

// The elements in one reply to a dump, or in an echo of their deletion; none where the message is something else.
std::vector<NftCounted> parse_counted(const NetlinkMessage& message);

// The elements in one reply to a dump; none where the message is something else. Elements that are about to end (timeout 0) are left out.
std::vector<NftElement> parse_elements(const NetlinkMessage& message);

}  // namespace drpf::system
