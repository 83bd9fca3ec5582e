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

// Nothing for every other message. Pure, as is the next.
std::optional<RulesetAuthor> parse_ruleset_author(const NetlinkMessage& message);
bool tells_of_network_change(const NetlinkMessage& message);

struct KernelChange {
  std::vector<RulesetAuthor> authors;  // oldest first
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
