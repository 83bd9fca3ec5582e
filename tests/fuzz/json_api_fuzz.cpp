// Requests with any path, query and body, to both sides of the API, with a real lease book behind. The input: a line "METHOD TARGET HOST"
// (and "TYPE", where the body is not JSON), the body after it, which is read as the other side's error too. Every answer must be whole JSON
// with a status that fits, and the book must stay sound.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <boost/json/parse.hpp>

#include "api/admin_api.h"
#include "api/device_api.h"
#include "api/error_json.h"
#include "support/fake_service.h"

namespace {

using namespace drpf;

void check(const net::Response& response) {
  if (response.stream || response.status == 204) return;
  if (response.content_type != "application/json") return;  // a backup
  boost::json::error_code error;
  const auto value = boost::json::parse(response.body, error);
  if (error || response.status < 200 || response.status > 599) std::abort();
  const bool is_error = value.is_object() && value.get_object().contains("error");
  if (is_error != (response.status >= 400)) std::abort();
}

std::string_view take_word(std::string_view& line) {
  const auto end = line.find(' ');
  const auto word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
  return word;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  test::FakeService service;
  if (!service.add_account("ann", "business") || !service.add_device("ann", "nas", std::nullopt)) std::abort();
  service.connect("nas");
  const api::AdminApi admin(service);
  const api::DeviceApi device(service);
  net::Request request;
  const auto end = input.find('\n');
  auto line = input.substr(0, end);
  if (end != std::string_view::npos) request.body = std::string(input.substr(end + 1));
  request.method = std::string(take_word(line));
  if (const auto target = net::parse_target(take_word(line))) {
    request.path = target->path;
    request.query = target->query;
  }
  request.host = std::string(take_word(line));
  request.content_type = line.empty() ? "application/json" : std::string(line);
  using Kind = Error::Kind;
  for (const auto& [status, kind] : {std::pair{400U, Kind::invalid}, {404U, Kind::not_found}, {409U, Kind::refusal}, {500U, Kind::failure}})
    if (api::error_from_json(status, request.body).kind != kind) std::abort();
  admin.handle(request, check);
  request.peer = Endpoint{*parse_address("10.77.0.2"), Port{1}};
  device.handle(request, check);
  // No two leases on one public port, every lease of a device that exists.
  for (const auto* lease : service.book().leases())
    if (service.book().lease(lease->on) != lease || !service.book().device(lease->device)) std::abort();
  return 0;
}
