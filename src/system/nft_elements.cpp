#include "system/nft_elements.h"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "core/encoding.h"
#include "system/nft_messages.h"

namespace drpf::system {
namespace {

constexpr std::uint16_t destroy_set_element = 30;  // NFT_MSG_DESTROYSETELEM, newer than Debian 12's headers
constexpr std::size_t element_overhead_bytes = 40;

std::size_t encoded_size(const NftElement& element) {
  return element_overhead_bytes + element.key.bytes().size() + element.data.bytes().size();
}

// Another program's elements may be of any size; what is not ours by its size alone has no key here and is left out.
NftData value_of(const NetlinkAttribute& attribute) {
  const auto value = find_attribute(attribute.payload, NFTA_DATA_VALUE);
  return value ? NftData::from(value->payload).value_or(NftData()) : NftData();
}

std::optional<std::uint64_t> packets_of(const NetlinkAttribute& expression) {
  const auto name = find_attribute(expression.payload, NFTA_EXPR_NAME);
  const auto data = find_attribute(expression.payload, NFTA_EXPR_DATA);
  if (!name || name->text() != "counter" || !data) return std::nullopt;
  const auto packets = find_attribute(data->payload, NFTA_COUNTER_PACKETS);
  return packets ? std::optional(packets->u64_big_endian()) : std::nullopt;
}

}  // namespace

void NftData::append(ByteView bytes) {
  assert(size_ + bytes.size() <= size_max);
  std::copy(bytes.begin(), bytes.end(), bytes_.begin() + size_);
  size_ = static_cast<std::uint8_t>(size_ + bytes.size());
}

std::optional<NftData> NftData::from(ByteView bytes) {
  if (bytes.size() > size_max) return std::nullopt;
  NftData data;
  data.append(bytes);
  return data;
}

NftData& NftData::address(const Address& value) {
  append(value.bytes());
  return *this;
}

NftData& NftData::protocol(Protocol value) {
  append(std::array<std::uint8_t, 4>{static_cast<std::uint8_t>(value), 0, 0, 0});
  return *this;
}

NftData& NftData::port(Port value) {
  append(std::array<std::uint8_t, 4>{static_cast<std::uint8_t>(value.value() >> 8), static_cast<std::uint8_t>(value.value() & 0xff), 0, 0});
  return *this;
}

NftData& NftData::mark(std::uint32_t value) {
  append(std::bit_cast<std::array<std::uint8_t, 4>>(value));
  return *this;
}

NftData& NftData::interface(std::string_view name) {
  std::array<std::uint8_t, IFNAMSIZ> padded{};
  std::copy_n(name.begin(), std::min(name.size(), padded.size() - 1), padded.begin());
  append(padded);
  return *this;
}

void NftBatch::put_elements(std::uint16_t type, std::uint16_t flags, std::string_view set, const std::vector<NftElement>& elements) {
  Command command{type, flags, std::string(set), 0, {}};
  std::size_t size = 0;
  for (const auto& element : elements) {
    if (size + encoded_size(element) > element_list_bytes_max) {
      commands_.push_back(std::move(command));
      command = Command{type, flags, std::string(set), 0, {}};
      size = 0;
    }
    size += encoded_size(element);
    size_estimate_ += encoded_size(element);
    command.elements.push_back(element);
  }
  if (!command.elements.empty()) commands_.push_back(std::move(command));
}

Status NftBatch::add(std::string_view set, const std::vector<NftElement>& elements) {
  for (const auto& element : elements)
    if (element.timeout.count() <= 0)
      return fail(
          failure("element_without_timeout", fmt::format("an element for set {} has no timeout: {}", set, to_hex(element.key.bytes()))));
  put_elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, elements);
  return {};
}

void NftBatch::remove(std::string_view set, const std::vector<NftData>& keys, Echo echo) {
  put_removals(NFT_MSG_DELSETELEM, set, keys, echo);
}

void NftBatch::destroy(std::string_view set, const std::vector<NftData>& keys, Echo echo) {
  put_removals(destroy_set_element, set, keys, echo);
}

void NftBatch::put_removals(std::uint16_t type, std::string_view set, const std::vector<NftData>& keys, Echo echo) {
  std::vector<NftElement> elements;
  elements.reserve(keys.size());
  for (const auto& key : keys) elements.push_back({key, {}, {}});
  put_elements(type, echo == Echo::yes ? NLM_F_ECHO : 0, set, elements);
}

void NftBatch::put_table(std::uint32_t flags) {
  commands_.push_back({NFT_MSG_NEWTABLE, NLM_F_CREATE, {}, flags, {}});
  size_estimate_ += element_overhead_bytes;
}

void NftBatch::remove_table() {
  commands_.push_back({NFT_MSG_DELTABLE, 0, {}, 0, {}});
  size_estimate_ += element_overhead_bytes;
}

NetlinkWriter NftBatch::encode(std::uint32_t first, std::uint32_t& last) const {
  NetlinkWriter writer;
  auto sequence = first;
  writer.message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, sequence).header(netfilter_header(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  for (const auto& command : commands_) {
    last = ++sequence;
    const bool is_last = &command == &commands_.back();
    const auto flags = static_cast<std::uint16_t>(NLM_F_REQUEST | command.flags | (is_last ? NLM_F_ACK : 0));
    writer.message(nft_message(command.type), flags, sequence).header(netfilter_header(NFPROTO_INET, 0));
    if (command.set.empty()) {
      writer.text(NFTA_TABLE_NAME, table_);
      if (command.type == NFT_MSG_NEWTABLE) writer.u32_big_endian(NFTA_TABLE_FLAGS, command.table_flags);
      continue;
    }
    writer.text(NFTA_SET_ELEM_LIST_TABLE, table_).text(NFTA_SET_ELEM_LIST_SET, command.set);
    const auto list = writer.open(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const auto& element : command.elements) {
      const auto item = writer.open(NFTA_LIST_ELEM);
      const auto key = writer.open(NFTA_SET_ELEM_KEY);
      writer.attribute(NFTA_DATA_VALUE, element.key.bytes()).close(key);
      if (!element.data.empty()) {
        const auto data = writer.open(NFTA_SET_ELEM_DATA);
        writer.attribute(NFTA_DATA_VALUE, element.data.bytes()).close(data);
      }
      if (element.timeout.count() > 0) writer.u64_big_endian(NFTA_SET_ELEM_TIMEOUT, static_cast<std::uint64_t>(element.timeout.count()));
      writer.close(item);
    }
    writer.close(list);
  }
  writer.message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, ++sequence).header(netfilter_header(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  return writer;
}

std::vector<NftCounted> parse_counted(const NetlinkMessage& message) {
  std::vector<NftCounted> out;
  if (message.type != nft_message(NFT_MSG_NEWSETELEM) && message.type != nft_message(NFT_MSG_DELSETELEM) &&
      message.type != nft_message(destroy_set_element))
    return out;
  const auto set = find_attribute(message.attributes(netfilter_header_size), NFTA_SET_ELEM_LIST_SET);
  const auto list = find_attribute(message.attributes(netfilter_header_size), NFTA_SET_ELEM_LIST_ELEMENTS);
  if (!set || !list) return out;
  NetlinkAttributes items(list->payload);
  while (const auto item = items.next()) {
    NftCounted element;
    element.set = set->text();
    NetlinkAttributes fields(item->payload);
    while (const auto field = fields.next()) {
      if (field->type == NFTA_SET_ELEM_KEY) element.key = value_of(*field);
      if (field->type == NFTA_SET_ELEM_DATA) element.data = value_of(*field);
      if (field->type == NFTA_SET_ELEM_EXPR) element.packets = packets_of(*field);
    }
    if (!element.key.empty()) out.push_back(std::move(element));
  }
  return out;
}

std::vector<NftElement> parse_elements(const NetlinkMessage& message) {
  std::vector<NftElement> out;
  if (message.type != nft_message(NFT_MSG_NEWSETELEM)) return out;
  const auto list = find_attribute(message.attributes(netfilter_header_size), NFTA_SET_ELEM_LIST_ELEMENTS);
  if (!list) return out;
  NetlinkAttributes items(list->payload);
  while (const auto item = items.next()) {
    NftElement element;
    bool ending = false;
    NetlinkAttributes fields(item->payload);
    while (const auto field = fields.next()) {
      if (field->type == NFTA_SET_ELEM_KEY) element.key = value_of(*field);
      if (field->type == NFTA_SET_ELEM_DATA) element.data = value_of(*field);
      if (field->type == NFTA_SET_ELEM_EXPIRATION) {
        constexpr std::uint64_t longest_ms = std::uint64_t{1} << 50;
        const auto left = std::min(field->u64_big_endian(), longest_ms);
        element.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(left));
        ending = left == 0;
      }
    }
    if (!element.key.empty() && !ending) out.push_back(element);
  }
  return out;
}

}  // namespace drpf::system
