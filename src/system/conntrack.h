// The kernel's connection table: read, and entries deleted one by one. It cannot be emptied through this class: every deletion names an
// entry.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "system/netlink_socket.h"

namespace drpf::system {

// The marks whose bits under `mask` are those of `value`.
struct MarkBlock {
  std::uint32_t value = 0;
  std::uint32_t mask = 0xffffffff;
  bool operator==(const MarkBlock&) const = default;
};

struct ConntrackTuple {
  Endpoint source;
  Endpoint destination;
  std::uint8_t protocol = 0;  // IANA number; ports are 0 for what has none
  bool operator==(const ConntrackTuple&) const = default;
};

struct ConntrackEntry {
  ConntrackTuple original;
  ConntrackTuple reply;
  std::uint32_t mark = 0;
  bool answered = false;  // packets were seen in both directions
  // What the kernel needs to name exactly this entry.
  std::uint8_t family = 0;
  std::uint32_t id = 0;
  Bytes original_attribute;
};

class Conntrack {
 public:
  static constexpr std::size_t deletions_per_request_max = 256;

  static Result<Conntrack> open();

  // Walks the table once and deletes the entries that `chosen` says, among those with marks in the block if one is given: the kernel then
  // leaves out the others. Returns how many there were.
  Result<std::size_t> delete_where(const std::function<bool(const ConntrackEntry&)>& chosen, std::optional<MarkBlock> among = {});
  Result<std::vector<ConntrackEntry>> entries(std::optional<MarkBlock> among = {});
  // The entry whose connection began with this packet.
  Result<std::optional<ConntrackEntry>> find(const ConntrackTuple& original);
  Status remove(const ConntrackEntry& entry);  // no error where it is gone already

  static NetlinkWriter encode_find(const ConntrackTuple& original, std::uint32_t sequence);

  static NetlinkWriter encode_read(std::optional<MarkBlock> among, std::uint32_t sequence);
  // Appends the order to delete one entry; nothing, and false, where the entry has no tuple, which would delete all.
  static bool put_deletion(NetlinkWriter& into, const ConntrackEntry& entry, std::uint32_t sequence, bool acknowledged);
  static std::optional<ConntrackEntry> parse_entry(const NetlinkMessage& message);

 private:
  explicit Conntrack(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Status visit(const std::function<void(ConntrackEntry)>& visitor, std::optional<MarkBlock> among);

  NetlinkSocket socket_;
};

}  // namespace drpf::system
