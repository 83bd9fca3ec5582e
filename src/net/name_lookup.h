// Asks the system's resolver for the addresses of a name, without holding the loop up. Does not decide which of them is tried.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "net/event_loop.h"

namespace drpf::net {

inline constexpr std::size_t name_addresses_max = 16;
inline constexpr std::chrono::seconds name_lookup_time_max{90};  // the resolver's own limits are shorter

// Never empty, in the resolver's order, each once; or its reason, as gai_strerror(3) has it.
using NameFound = std::function<void(Result<std::vector<Address>>)>;

// getaddrinfo(3) blocks for as long as the name servers are silent, and cannot be called away from: it is asked in a child process, which
// ends with what is returned here. Calls nothing before it has returned.
[[nodiscard]] Watch look_up_name(EventLoop& loop, const std::string& host, NameFound found);

}  // namespace drpf::net
