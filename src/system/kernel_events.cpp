#include "system/kernel_events.h"

#include <linux/filter.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>

#include "system/netlink_socket.h"
#include "system/nft_messages.h"

namespace drpf::system {
namespace {

constexpr std::size_t datagram_max = 65536;
constexpr std::uint32_t process_max = 4'194'304;  // the kernel's PID_MAX_LIMIT; other sockets have greater numbers

// Any program may call itself anything; this goes into logs.
std::string printable(std::string_view name) {
  std::string out(name.substr(0, KernelEvents::program_name_max));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~' || c == '\''; }, '?');
  return out;
}

Result<Fd> open_listener(int protocol, const std::vector<int>& groups) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd.valid()) return fail(errno_failure(errno, "open a netlink socket for events"));
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0)
    return fail(errno_failure(errno, "bind a netlink socket for events"));
  for (const int group : groups)
    if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
      return fail(errno_failure(errno, "listen to the kernel's events"));
  return fd;
}

// A change of many elements is told element by element; only the word that a change was committed is let in.
void keep_commits_only(const Fd& fd) {
  constexpr std::uint32_t type_offset = 4;  // in struct nlmsghdr
  constexpr std::uint16_t wanted = nft_message(NFT_MSG_NEWGEN);
  const auto as_loaded = static_cast<std::uint32_t>(static_cast<std::uint16_t>(wanted << 8 | wanted >> 8));  // loads are big-endian
  std::array<sock_filter, 4> program{sock_filter{BPF_LD | BPF_H | BPF_ABS, 0, 0, type_offset},
                                     sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, as_loaded},
                                     sock_filter{BPF_RET | BPF_K, 0, 0, 0xffffffff}, sock_filter{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);  // without it there is only more to read
}

}  // namespace

std::optional<RulesetAuthor> parse_ruleset_author(const NetlinkMessage& message) {
  if (message.type != nft_message(NFT_MSG_NEWGEN) || message.payload.size() < netfilter_header_size) return std::nullopt;
  RulesetAuthor author;
  NetlinkAttributes fields(message.attributes(netfilter_header_size));
  while (const auto field = fields.next()) {
    if (field->type == NFTA_GEN_ID) author.generation = field->u32_big_endian();
    if (field->type == NFTA_GEN_PROC_PID) author.process = field->u32_big_endian();
    if (field->type == NFTA_GEN_PROC_NAME) author.program = printable(field->text());
  }
  return author;
}

bool tells_of_network_change(const NetlinkMessage& message) {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_NEWRULE:
    case RTM_DELRULE:
    case RTM_NEWNETCONF:  // forwarding, among others
      return true;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      // Routes that the kernel keeps for a moment for one destination, and its own for local addresses, are no change.
      rtmsg header{};
      if (message.payload.size() < sizeof header) return false;
      std::copy_n(message.payload.data(), sizeof header, reinterpret_cast<std::uint8_t*>(&header));
      return (header.rtm_flags & RTM_F_CLONED) == 0 && header.rtm_table != RT_TABLE_LOCAL;
    }
    default:
      return false;
  }
}

std::string program_name(std::uint32_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::string name;
  std::getline(file, name);
  return printable(name);
}

std::optional<std::uint32_t> remover(const NetlinkMessage& message) {
  switch (message.type) {
    case RTM_DELRULE:
    case RTM_DELROUTE:
    case RTM_DELADDR:
      if (message.port_id != 0 && message.port_id <= process_max && tells_of_network_change(message)) return message.port_id;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

Result<KernelEvents> KernelEvents::open() {
  auto ruleset = open_listener(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
  if (!ruleset) return fail(ruleset.error());
  keep_commits_only(*ruleset);
  auto network =
      open_listener(NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                                    RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF});
  if (!network) return fail(network.error());
  return KernelEvents(std::move(*ruleset), std::move(*network));
}

KernelChange KernelEvents::drain() {
  KernelChange change;
  Bytes buffer(datagram_max);
  const auto read_all = [&](const Fd& fd, auto visit) {
    for (std::size_t i = 0; i < datagrams_per_drain_max; ++i) {
      sockaddr_nl from{};
      socklen_t from_size = sizeof from;
      const auto size = ::recvfrom(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_size);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == ENOBUFS) {
        change.lost = true;
        continue;
      }
      if (size < 0) return;
      if (from.nl_pid != 0) continue;  // not from the kernel
      NetlinkMessages messages(ByteView(buffer).first(static_cast<std::size_t>(size)));
      while (const auto message = messages.next()) visit(*message);
    }
  };
  read_all(ruleset_, [&](const NetlinkMessage& message) {
    change.ruleset = true;
    if (auto author = parse_ruleset_author(message)) change.authors.push_back(std::move(*author));
  });
  std::optional<std::uint32_t> last_remover;
  read_all(network_, [&](const NetlinkMessage& message) {
    change.network = change.network || tells_of_network_change(message);
    if (const auto process = remover(message)) last_remover = process;
  });
  if (last_remover) change.network_author = EventAuthor{*last_remover, program_name(*last_remover)};
  return change;
}

}  // namespace drpf::system
