// Requests to the API as a test writes them, without a socket.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "api/admin_api.h"
#include "api/device_api.h"
#include "support/fake_service.h"

namespace drpf::api {

struct Answer {
  unsigned status = 0;
  boost::json::value json;
  std::string error() const {  // its code
    const auto* object = json.if_object();
    const auto* error = object ? object->if_contains("error") : nullptr;
    return error ? std::string(error->at("code").as_string()) : std::string();
  }
  std::string cure() const { return std::string(json.at("error").at("cure").as_string()); }
  std::string message() const { return std::string(json.at("error").at("message").as_string()); }
};

inline net::Request make_request(std::string method, std::string_view target, std::string body = {}) {
  net::Request request;
  request.method = std::move(method);
  auto parsed = net::parse_target(target);
  EXPECT_TRUE(parsed) << target;
  request.path = parsed->path;
  request.query = parsed->query;
  request.host = "10.77.0.1:5351";
  request.content_type = "application/json";
  request.body = std::move(body);
  return request;
}

// FakeService answers at once.
template <class Api>
net::Response answer_of(const Api& api, const net::Request& request) {
  net::Response response;
  response.status = 0;
  api.handle(request, [&response](net::Response given) { response = std::move(given); });
  return response;
}

inline Answer read(const net::Response& response) {
  Answer answer;
  answer.status = response.status;
  EXPECT_FALSE(response.stream);
  if (!response.body.empty()) answer.json = boost::json::parse(response.body);
  return answer;
}

class FakeSink final : public net::LineSink {
 public:
  void write(std::string line) override { lines.push_back(std::move(line)); }
  void state(std::function<std::string()> line) override {
    if (auto text = line(); !text.empty()) lines.push_back(std::move(text));
  }
  void close() override { closed = true; }
  std::vector<std::string> lines;
  bool closed = false;
};

class AdminApiTest : public testing::Test {
 protected:
  Answer ask(std::string method, std::string_view target, std::string body = {}) {
    return read(answer_of(api, make_request(std::move(method), target, std::move(body))));
  }
  test::FakeService service;
  AdminApi api{service};
};

class DeviceApiTest : public testing::Test {
 protected:
  DeviceApiTest() {
    EXPECT_TRUE(service.add_account("ann", std::nullopt));
    EXPECT_TRUE(service.add_account("bob", "business"));
    EXPECT_TRUE(service.add_device("ann", "nas", std::nullopt));
    EXPECT_TRUE(service.add_device("bob", "tower", std::nullopt));
  }
  net::Request request_of(std::string_view device, std::string method, std::string_view target, std::string body = {}) {
    auto request = make_request(std::move(method), target, std::move(body));
    request.peer = Endpoint{service.book().device(device)->tunnel_v4, Port{40000}};
    return request;
  }
  Answer ask(std::string_view device, std::string method, std::string_view target, std::string body = {}) {
    return read(answer_of(api, request_of(device, std::move(method), target, std::move(body))));
  }
  test::FakeService service;
  DeviceApi api{service};
};

}  // namespace drpf::api
