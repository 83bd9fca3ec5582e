// Keeps this network namespace as a RoutePlan says, and takes it back. Decides nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/connect/route_plan.h"
#include "core/result.h"
#include "ruleset/keeper.h"
#include "system/links_and_routes.h"

namespace drpf::client {

class Routing {
 public:
  // `note_path`: where former values of kernel parameters are kept until they are put back, also over a crash; a machine where it cannot be
  // written is no obstacle.
  Routing(std::string interface, std::string note_path) : interface_(std::move(interface)), note_path_(std::move(note_path)) {}

  // What was not as the plan says, and is now.
  struct Mended {
    bool firewall = false;
    bool interface_made = false;       // somebody had taken it away
    bool interface_moved = false;      // and its index is another one
    std::vector<std::string> network;  // "the routing rules", ...; the kernel parameters by their names
  };
  // Twice is once. The firewall comes first, then what must hold without an interface; what hangs on the interface follows when there is
  // one. On an error what stood stands, and the next call goes on.
  Result<Mended> apply(const RoutePlan& plan);
  // From now on there is an interface, and this is how there is another one when somebody has taken it away: with the index that it had, if
  // nobody has that by then.
  using MakeAgain = std::function<Status(int index)>;
  Status interface_is_there(MakeAgain make_again);

  // Everything that this or a killed predecessor left; what is not there is no error. True if there was any.
  Result<bool> clear();

  Result<std::vector<std::string>> names_of_others();  // tables and chains of other programs

 private:
  Status keep_firewall(const RoutePlan& plan, Mended& mended);
  Status keep_settings(const RoutePlan& plan, Mended& mended);
  Status keep_rules(const RoutePlan& plan, Mended& mended);
  Status keep_routes(const RoutePlan& plan, bool with_interface, Mended& mended);
  Status keep_interface(const RoutePlan& plan, Mended& mended);
  Status set(const PlannedSetting& setting, Mended& mended);
  Result<bool> clear_network();
  bool restore_settings();

  std::string interface_;
  std::string note_path_;
  std::vector<std::pair<std::string, std::string>> former_;  // what the note says, where none can be written
  std::optional<ruleset::Keeper> firewall_;
  std::string firewall_text_;  // as it was put last
  std::optional<system::LinksAndRoutes> kernel_;
  MakeAgain make_again_;
  int index_ = 0;
};

// Of all interfaces that there are now; none where they cannot be looked at.
std::vector<Address> addresses_of_this_machine();
// False where IPv6 is switched off or absent: then a plan must not speak of it.
bool has_ipv6();

}  // namespace drpf::client
