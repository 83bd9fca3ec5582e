// Says in the log and in the status which devices' visitors, or own connections, are refused because a share of connections is used up.
// Refuses nobody itself.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <spdlog/fwd.h>

#include "gateway/gateway.h"
#include "redirect/nft_redirect.h"

namespace drpf::daemon {

class ShareWatch {
 public:
  static constexpr std::size_t names_shown_max = 10;

  ShareWatch(redirect::NftRedirect& redirect, gateway::Gateway& gateway, std::shared_ptr<spdlog::logger> log)
      : redirect_(redirect), gateway_(gateway), log_(std::move(log)) {}
  void look();

 private:
  redirect::NftRedirect& redirect_;
  gateway::Gateway& gateway_;
  std::shared_ptr<spdlog::logger> log_;
  struct Side {
    redirect::NftRedirect::Refused refused;
    std::string_view condition;
    std::string_view who;  // of the devices that are named
    std::string_view why;
    std::set<std::string> full{};  // names of devices
  };
  void look(Side& side);

  Side visitors_{redirect::NftRedirect::Refused::visitors, "shares", "visitors of",
                 "their share of connections, or one lease's or one network's part of it, is used up: [limits] connections_per_device"};
  Side own_{redirect::NftRedirect::Refused::own, "own_shares", "connections of",
            "the device's share ([limits] connections_per_device), its account's part of those to one address, or the device's part of "
            "those to the gateway is used up"};
};

}  // namespace drpf::daemon
