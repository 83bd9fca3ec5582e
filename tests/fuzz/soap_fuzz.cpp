// A SOAPAction header, a line end, and a body, as any bytes, at a gateway's UPnP server: it is answered once, with text that is XML, maps
// for nobody but the sender, and keeps no description that could break a line. The line is asked for as a path too, all of it searched for.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../support/fake_mappings.h"
#include "protocol/upnp/server.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  using namespace drpf::protocol::upnp;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = std::min(input.find('\n'), input.size());
  const auto ann = Address::v4(0x0a4d0002);
  test::FakeMappings mappings;
  mappings.clients[ann] = {Address::v4(0x09090909), Address::from_bytes(std::array<std::uint8_t, 16>{0x26}), ann,
                           Address::from_bytes(std::array<std::uint8_t, 16>{0xfd, 0x77})};
  Server server(mappings, Identity{}, nullptr);
  HttpRequest request;
  request.method = "POST";
  request.host = "10.77.0.1:5351";
  request.source = ann;
  request.soap_action = std::string(input.substr(0, line));
  request.body = input.substr(std::min(line + 1, input.size()));
  for (const auto* word : {"forwarding", "interface", "connection", "firewall"}) {
    request.path = {"upnp", "control", word};
    int answers = 0;
    server.handle(request, Time{}, [&](const HttpResponse& response) {
      ++answers;
      require(response.status == 200 || (response.status >= 400 && response.status <= 503));
      require(response.status != 200 || response.body.starts_with("<?xml"));
      require(response.body.find('\0') == std::string::npos);
    });
    require(answers == 1);
  }
  // The line also as a path to read, and all of it as a search.
  request.method = "GET";
  request.path.assign(1, "upnp");
  for (std::size_t at = 0; at < line && request.path.size() < 4;) {
    const auto end = std::min(input.substr(0, line).find('/', at), line);
    request.path.emplace_back(input.substr(at, end - at));
    at = end + 1;
  }
  server.handle(request, Time{},
                [](const HttpResponse& response) { require(response.status == 200 || response.status == 404 || response.status == 503); });
  // A browser that another site has sent, and somebody who is no device.
  request.origin = "http://foreign.example";
  server.handle(request, Time{}, [](const HttpResponse& response) { require(response.status == 403); });
  request.origin.clear();
  request.source = Address::v4(0x0a4d0003);
  server.handle(request, Time{}, [](const HttpResponse& response) { require(response.status == 403); });
  require(server.search(input, request.source, {Address::v4(0x0a4d0001), Port{5351}}, Time{}).empty());
  for (const auto& answer : server.search(input, ann, {Address::v4(0x0a4d0001), Port{5351}}, Time{})) require(!answer.empty());
  for (const auto& wish : mappings.wishes) {
    require(wish.client == ann && wish.description.size() <= lease::Mapping::description_max);
    require(std::all_of(wish.description.begin(), wish.description.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    require(!wish.internal_port.is_zero() && wish.lifetime > Duration::zero());
  }
  return 0;
}
