// Says in the log and in the status which devices' visitors are refused because a share of connections is used up. Refuses nobody itself.
#pragma once

#include <memory>
#include <set>
#include <string>

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
  std::set<std::string> full_;  // names of devices
};

}  // namespace drpf::daemon
