// What a gateway runs by: its configuration, with what was found of this host for it. Rule set and policy are made of it.
#pragma once

#include <vector>

#include "configuration/configuration.h"
#include "configuration/policy.h"

namespace drpf::configuration {

struct Setup {
  Configuration configuration;
  std::vector<FoundHost> hosts;
  std::vector<Listener> listeners;
  std::vector<Prefix> proxy_sources = {};  // who may use the proxy, where there is one

  lease::Policy policy() const { return make_policy(configuration, hosts, listeners); }
};

}  // namespace drpf::configuration
