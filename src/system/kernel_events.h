// Hears from the kernel that somebody changed a rule set, an interface, an address, a route or a routing rule. Events get lost under load,
// so they only say when to look; what is right is found by looking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "system/fd.h"
#include "system/netlink_message.h"

namespace drpf::system {

// Who committed a change of an nftables rule set, as the kernel tells it.
struct RulesetAuthor {
  std::uint32_t generation = 0;
  std::uint32_t process = 0;  // as the first process namespace counts
  std::string program;        // the process's name, at most 15 characters; not to be trusted, for messages only
  bool operator==(const RulesetAuthor&) const = default;
};

// Who asked for a change, as far as that can be told.
struct EventAuthor {
  std::uint32_t process = 0;
  std::string program;  // as above; empty = it has ended
  bool operator==(const EventAuthor&) const = default;
};
// The name of a process in printable characters; empty where there is none, or it may not be looked at.
std::string program_name(std::uint32_t process);

// Nothing for every other message. Pure, as are the next two.
std::optional<RulesetAuthor> parse_ruleset_author(const NetlinkMessage& message);
bool tells_of_network_change(const NetlinkMessage& message);
// The process that took a rule, a route or an address away: by the number of its socket, which for the first socket of a process is the
// process's own. None where it is not.
std::optional<std::uint32_t> remover(const NetlinkMessage& message);

struct KernelChange {
  std::vector<RulesetAuthor> authors;         // oldest first
  std::optional<EventAuthor> network_author;  // the last that took something away
  bool ruleset = false;
  bool network = false;
  bool lost = false;  // events were lost: anything may have changed
};

class KernelEvents {
 public:
  static constexpr std::size_t datagrams_per_drain_max = 256;
  static constexpr std::size_t program_name_max = 15;

  static Result<KernelEvents> open();
  int ruleset_fd() const { return ruleset_.get(); }
  int network_fd() const { return network_.get(); }
  // What has happened since the last call; does not wait.
  KernelChange drain();

 private:
  KernelEvents(Fd ruleset, Fd network) : ruleset_(std::move(ruleset)), network_(std::move(network)) {}
  Fd ruleset_;
  Fd network_;
};

}  // namespace drpf::system
