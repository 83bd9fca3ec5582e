#include "system/conntrack.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "system/nft_messages.h"

namespace drpf::system {
namespace {

std::optional<ConntrackTuple> parse_tuple(ByteView bytes) {
  const auto ip = find_attribute(bytes, CTA_TUPLE_IP);
  const auto proto = find_attribute(bytes, CTA_TUPLE_PROTO);
  if (!ip || !proto) return std::nullopt;
  ConntrackTuple tuple;
  int addresses = 0;
  NetlinkAttributes ip_fields(ip->payload);
  while (const auto field = ip_fields.next()) {
    const bool v4 = field->type == CTA_IP_V4_SRC || field->type == CTA_IP_V4_DST;
    const bool v6 = field->type == CTA_IP_V6_SRC || field->type == CTA_IP_V6_DST;
    if (!v4 && !v6) continue;
    if (field->payload.size() != (v4 ? 4U : 16U)) return std::nullopt;
    const bool source = field->type == CTA_IP_V4_SRC || field->type == CTA_IP_V6_SRC;
    (source ? tuple.source : tuple.destination).address = Address::from_bytes(field->payload);
    ++addresses;
  }
  NetlinkAttributes proto_fields(proto->payload);
  while (const auto field = proto_fields.next()) {
    if (field->type == CTA_PROTO_NUM) tuple.protocol = field->u8();
    if (field->type == CTA_PROTO_SRC_PORT) tuple.source.port = Port{field->u16_big_endian()};
    if (field->type == CTA_PROTO_DST_PORT) tuple.destination.port = Port{field->u16_big_endian()};
  }
  if (addresses != 2) return std::nullopt;
  return tuple;
}

}  // namespace

Result<Conntrack> Conntrack::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail(socket.error());
  return Conntrack(std::move(*socket));
}

NetlinkWriter Conntrack::encode_read(std::optional<MarkBlock> among, std::uint32_t sequence) {
  NetlinkWriter message;
  message.message(conntrack_message(IPCTNL_MSG_CT_GET), NLM_F_REQUEST | NLM_F_DUMP, sequence).header(netfilter_header(AF_UNSPEC, 0));
  if (among) message.u32_big_endian(CTA_MARK, among->value & among->mask).u32_big_endian(CTA_MARK_MASK, among->mask);
  return message;
}

bool Conntrack::put_deletion(NetlinkWriter& into, const ConntrackEntry& entry, std::uint32_t sequence, bool acknowledged) {
  if (entry.original_attribute.empty()) return false;
  const auto flags = static_cast<std::uint16_t>(NLM_F_REQUEST | (acknowledged ? NLM_F_ACK : 0));
  into.message(conntrack_message(IPCTNL_MSG_CT_DELETE), flags, sequence).header(netfilter_header(entry.family, 0));
  into.attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, entry.original_attribute);
  // The tuple may have been used again since it was read; the id tells the two apart.
  if (entry.id != 0) into.u32(CTA_ID, entry.id);
  return true;
}

std::optional<ConntrackEntry> Conntrack::parse_entry(const NetlinkMessage& message) {
  if (message.type != conntrack_message(IPCTNL_MSG_CT_NEW) || message.payload.size() < netfilter_header_size) return std::nullopt;
  ConntrackEntry entry;
  entry.family = message.payload[0];
  bool original = false;
  bool reply = false;
  NetlinkAttributes fields(message.attributes(netfilter_header_size));
  while (const auto field = fields.next()) {
    if (field->type == CTA_TUPLE_ORIG) {
      const auto tuple = parse_tuple(field->payload);
      if (!tuple) return std::nullopt;
      entry.original = *tuple;
      entry.original_attribute.assign(field->payload.begin(), field->payload.end());
      original = true;
    }
    if (field->type == CTA_TUPLE_REPLY) {
      const auto tuple = parse_tuple(field->payload);
      if (!tuple) return std::nullopt;
      entry.reply = *tuple;
      reply = true;
    }
    if (field->type == CTA_STATUS) entry.answered = (field->u32_big_endian() & IPS_SEEN_REPLY) != 0;
    if (field->type == CTA_MARK) entry.mark = field->u32_big_endian();
    if (field->type == CTA_ID) entry.id = field->u32();  // opaque: given back as it came
  }
  if (!original || !reply) return std::nullopt;
  return entry;
}

Status Conntrack::visit(const std::function<void(ConntrackEntry)>& visitor, std::optional<MarkBlock> among) {
  auto message = encode_read(among, socket_.next_sequence());
  const auto read = socket_.dump(message, "read the connection table", [&](const NetlinkMessage& reply) {
    if (auto entry = parse_entry(reply)) visitor(std::move(*entry));
  });
  if (!read) return fail(read.error());
  return {};
}

Result<std::size_t> Conntrack::delete_where(const std::function<bool(const ConntrackEntry&)>& chosen, std::optional<MarkBlock> among) {
  std::vector<ConntrackEntry> found;
  const auto read = visit(
      [&](ConntrackEntry entry) {
        if (chosen(entry) && !entry.original_attribute.empty()) found.push_back(std::move(entry));
      },
      among);
  if (!read) return fail(read.error());
  for (std::size_t first = 0; first < found.size(); first += deletions_per_request_max) {
    const auto end = std::min(found.size(), first + deletions_per_request_max);
    NetlinkWriter message;
    for (auto i = first; i < end; ++i) put_deletion(message, found[i], socket_.next_sequence(), i + 1 == end);
    // Errors of the others stay unread: an entry that is gone already is the only one that the last does not meet too.
    const auto deleted = socket_.request(message, "delete connections");
    if (!deleted && !is_errno(deleted.error(), ENOENT)) return fail(deleted.error());
  }
  return found.size();
}

NetlinkWriter Conntrack::encode_find(const ConntrackTuple& original, std::uint32_t sequence) {
  const bool v4 = original.source.address.is_v4();
  NetlinkWriter message;
  message.message(conntrack_message(IPCTNL_MSG_CT_GET), NLM_F_REQUEST | NLM_F_ACK, sequence)
      .header(netfilter_header(v4 ? AF_INET : AF_INET6, 0));
  const auto tuple = message.open(CTA_TUPLE_ORIG);
  const auto ip = message.open(CTA_TUPLE_IP);
  message.attribute(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, original.source.address.bytes())
      .attribute(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, original.destination.address.bytes())
      .close(ip);
  const auto proto = message.open(CTA_TUPLE_PROTO);
  message.u8(CTA_PROTO_NUM, original.protocol)
      .u16_big_endian(CTA_PROTO_SRC_PORT, original.source.port.value())
      .u16_big_endian(CTA_PROTO_DST_PORT, original.destination.port.value())
      .close(proto)
      .close(tuple);
  return message;
}

Result<std::optional<ConntrackEntry>> Conntrack::find(const ConntrackTuple& original) {
  auto message = encode_find(original, socket_.next_sequence());
  std::optional<ConntrackEntry> found;
  const auto asked = socket_.request(message, "look up a connection", [&](const NetlinkMessage& reply) {
    if (auto entry = parse_entry(reply)) found = std::move(*entry);
  });
  if (!asked && !is_errno(asked.error(), ENOENT)) return fail(asked.error());
  return found;
}

Status Conntrack::remove(const ConntrackEntry& entry) {
  NetlinkWriter message;
  if (!put_deletion(message, entry, socket_.next_sequence(), true)) return {};
  auto removed = socket_.request(message, "delete a connection");
  if (!removed && !is_errno(removed.error(), ENOENT)) return removed;
  return {};
}

Result<std::vector<ConntrackEntry>> Conntrack::entries(std::optional<MarkBlock> among) {
  std::vector<ConntrackEntry> out;
  const auto read = visit([&](ConntrackEntry entry) { out.push_back(std::move(entry)); }, among);
  if (!read) return fail(read.error());
  return out;
}

}  // namespace drpf::system
