// The second redirect of shared ports in this machine's kernel: what comes through the tunnel to a relay port goes on to a machine of the
// local network. An nftables table of its own, whose elements end by themselves, and the forwarding that it needs; knows no leases.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/share/relayed_mappings.h"
#include "client/share/share_ruleset.h"
#include "core/address.h"
#include "core/result.h"
#include "ruleset/keeper.h"

namespace drpf::client {

class LanRedirect final : public RelayRedirect {
 public:
  // No redirection stands afterwards. `note_path`: which interface was made to forward, until it is undone, also over a crash.
  static Result<LanRedirect> start(const LanWish& wish, const std::string& note_path);

  // Rules and forwarding that this or a killed predecessor left. True if there was any.
  static Result<bool> clear(const std::string& tunnel, const std::string& note_path);
  static bool forwards(const std::string& interface);

  // Puts rules and forwarding back where somebody else has changed them. True if there was anything to mend; what led anywhere leads
  // nowhere then, until it is put again.
  Result<bool> keep();

  Status put(const RelayRedirection& redirection, Duration lifetime) override;
  Status remove(const RelayRedirection& redirection) override;

 private:
  LanRedirect(ruleset::Keeper keeper, LanWish wish) : keeper_(std::move(keeper)), wish_(std::move(wish)) {}
  void end_connections(const RelayRedirection& redirection);

  ruleset::Keeper keeper_;
  LanWish wish_;
};

}  // namespace drpf::client
