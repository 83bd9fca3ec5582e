// SSDP, by which UPnP programs look for a gateway (UPnP Device Architecture 2.0 section 1): searches read, answers written, never larger
// together than twice the search. No sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/time.h"
#include "protocol/upnp/description.h"

namespace drpf::protocol::upnp {

inline constexpr std::uint16_t ssdp_port = 1900;
inline constexpr Address ssdp_group_v4 = Address::v4(0xefff'fffa);  // 239.255.255.250
Address ssdp_group_v6();                                            // ff05::c
inline constexpr std::size_t search_size_max = 1024;
inline constexpr std::size_t amplification_max = 2;

// Whom a search is for: "ssdp:all", "upnp:rootdevice", a device or service type, "uuid:...".
std::optional<std::string> read_search(std::string_view datagram);

// One datagram for each thing that the target means, in order of importance, as many as the size of the search allows. `location`: the
// root description's address and port.
std::vector<std::string> search_answers(std::string_view target, std::size_t search_size, const Identity& identity,
                                        const Endpoint& location);

// Holds back who asks too often: a source that is not its sender's could be somebody else's harm.
class AnswerPace {
 public:
  static constexpr std::size_t answers_max = 5;  // of one client in `window`
  static constexpr Duration window = std::chrono::seconds(1);
  static constexpr std::size_t clients_max = 16'384;  // remembered; beyond that nobody new is answered until the oldest are forgotten

  bool allow(const Address& client, Time now);

 private:
  struct Recent {
    std::array<Time, answers_max> times{};  // a ring
    std::size_t next = 0;
    std::size_t count = 0;
    Time last{};
  };
  void forget_idle(Time now);
  std::map<Address, Recent> recent_;
};

}  // namespace drpf::protocol::upnp
