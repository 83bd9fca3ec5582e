// Where the proxy listens and for whom, proven before anything is opened: nobody from outside is to come in. Opens nothing.
#pragma once

#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "proxy/settings.h"
#include "system/links_and_routes.h"

namespace drpf::proxy {

// Each address is private, and there is one.
Status prove_listeners(const Settings& settings);

// Who may use the proxy where nothing is said: loopback for a listener there, else the network of the listener's own address. `coming`:
// networks that this host will be in. An address that is in none of them is an error.
Result<std::vector<Prefix>> sources_of(const Settings& settings, const std::vector<system::InterfaceAddress>& own,
                                       const std::vector<Prefix>& coming = {});

}  // namespace drpf::proxy
