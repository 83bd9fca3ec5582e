// The UPnP gateway: answers HTTP requests under /upnp and SSDP searches, and turns actions into wishes to Mappings. Who asks is told by the
// source address alone. Keeps no state but who asked how often; opens no socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/time.h"
#include "protocol/port_mapping/mappings.h"
#include "protocol/upnp/actions.h"
#include "protocol/upnp/description.h"
#include "protocol/upnp/request_pace.h"
#include "protocol/upnp/ssdp.h"

namespace drpf::protocol::upnp {

struct HttpRequest {
  std::string method{};
  std::vector<std::string> path{};  // {"upnp", ...}
  std::string host{};
  std::string origin{};
  std::string soap_action{};
  std::string user_agent{};
  std::string_view body{};
  Address source{};
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;  // text/xml unless empty
};

struct Counters {
  std::uint64_t searches = 0;
  std::uint64_t search_answers = 0;
  std::uint64_t strangers = 0;  // neither answered nor looked into
  std::uint64_t held_back = 0;  // by a pace
  std::uint64_t actions = 0;
  std::uint64_t refused = 0;  // before they became an action: host, origin, headers, size, malformed XML
  std::uint64_t faults = 0;
};

class Server {
 public:
  using Respond = std::function<void(HttpResponse)>;

  // `mappings` and what `link` needs must outlive every answer.
  Server(port_mapping::Mappings& mappings, const Identity& identity, LinkOf link)
      : actions_(mappings, std::move(link)), mappings_(mappings), identity_(identity) {}

  // `respond` is called once, in this call or later.
  void handle(const HttpRequest& request, Time now, Respond respond);

  // What goes back to the source of a datagram; mostly nothing. `gateway`: where the source reaches the root description.
  std::vector<std::string> search(std::string_view datagram, const Address& source, const Endpoint& gateway, Time now);

  const Counters& counters() const { return *counters_; }

 private:
  HttpResponse document(const HttpRequest& request) const;
  void control(const HttpRequest& request, const port_mapping::Client& client, Respond respond);

  Actions actions_;
  port_mapping::Mappings& mappings_;
  Identity identity_;
  AnswerPace answer_pace_;
  RequestPace request_pace_;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();  // shared with answers that are still to come
};

}  // namespace drpf::protocol::upnp
