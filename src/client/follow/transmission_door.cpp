#include <fmt/format.h>
#include <boost/json.hpp>

#include "client/follow/listening_port_door.h"
#include "core/encoding.h"
#include "net/http_client.h"

namespace drpf::client {
namespace {

constexpr std::string_view session_header = "X-Transmission-Session-Id";

class Transmission : public ListeningPortDoor {
 public:
  Transmission(const InformWish& wish, const Endpoint& endpoint) : wish_(wish), client_(net::HttpClient::over_tcp(endpoint, options())) {
    if (wish_.path.empty()) wish_.path = "/transmission/rpc";
  }

  Result<Outcome> set(Port port) override {
    const auto is_so = [&](const boost::json::object& session) {
      return number(session, "peer-port") == port.value() && !flag(session, "peer-port-random-on-start") &&
             !flag(session, "port-forwarding-enabled");
    };
    const auto before = session();
    if (!before) return fail(before.error());
    if (is_so(*before)) return Outcome::was_so;
    // A random port would replace ours at the next start; its own port mapping would ask for a second lease.
    const auto answer = call(fmt::format(
        R"({{"method":"session-set","arguments":{{"peer-port":{},"peer-port-random-on-start":false,"port-forwarding-enabled":false}}}})",
        port.value()));
    if (!answer) return fail(answer.error());
    const auto after = session();
    if (!after) return fail(after.error());
    if (!is_so(*after))
      return fail(failure("port_not_taken", fmt::format("{} did not take port {} and stays at {}", wish_.name(), to_string(port),
                                                        number(*after, "peer-port"))));
    return Outcome::set;
  }

 private:
  net::HttpClient::Options options() const {
    net::HttpClient::Options options;
    options.timeout = inform_request_time_max;
    options.body_bytes_max = inform_answer_size_max;
    options.who = to_string(wish_.program);
    return options;
  }

  static std::int64_t number(const boost::json::object& object, std::string_view key) {
    const auto* found = object.if_contains(key);
    return found != nullptr && found->is_int64() ? found->get_int64() : -1;
  }
  static bool flag(const boost::json::object& object, std::string_view key) {
    const auto* found = object.if_contains(key);
    return found != nullptr && found->is_bool() && found->get_bool();
  }

  Result<net::ClientResponse> send(const std::string& body) const {
    net::ClientRequest request;
    request.method = "POST";
    request.target = wish_.path;
    request.body = body;
    if (!session_id_.empty()) request.more_headers.emplace_back(session_header, session_id_);
    if (!wish_.user.empty()) {
      const auto login = wish_.user + ":" + wish_.password;
      request.more_headers.emplace_back("Authorization",
                                        "Basic " + to_base64(ByteView(reinterpret_cast<const std::uint8_t*>(login.data()), login.size())));
    }
    return client_.request(request);
  }

  // The arguments of the answer. A call without the session's present number is refused with it: the second one has it.
  Result<boost::json::object> call(const std::string& body) {
    auto answer = send(body);
    if (answer && answer->status == 409) {
      session_id_ = answer->header(session_header);
      answer = send(body);
    }
    if (!answer) return fail(answer.error());
    if (answer->status == 401) {
      constexpr std::string_view cure =
          "Put the user into the URL (http://USER@...) and the password into DRPF_TRANSMISSION_PASSWORD or a password-file.";
      if (wish_.user.empty()) return fail(failure("login_needed", fmt::format("{} wants a login", wish_.name()), std::string(cure)));
      return fail(
          refusal("login_refused", fmt::format("{} refuses user {} and the password", wish_.name(), wish_.user), std::string(cure)));
    }
    if (answer->status == 403 || answer->status == 421) {
      return fail(
          refusal("login_refused", fmt::format("{} does not admit this address or this name of it ({})", wish_.name(), answer->status),
                  "Its settings \"rpc-whitelist\" and \"rpc-host-whitelist\" say whom it admits; with too many failed logins it admits "
                  "nobody until it is restarted."));
    }
    if (answer->status != 200)
      return fail(failure("inform_failed", fmt::format("{} answered {}", wish_.name(), answer->status),
                          "Is this its RPC? The path is /transmission/rpc."));
    boost::system::error_code error;
    const auto value = boost::json::parse(answer->body, error);
    const auto* object = error ? nullptr : value.if_object();
    const auto* result = object == nullptr ? nullptr : object->if_contains("result");
    if (result == nullptr || !result->is_string() || result->get_string() != "success")
      return fail(
          failure("inform_failed", fmt::format("{} did not carry out what it was asked", wish_.name()), "Is this Transmission's RPC?"));
    const auto* arguments = object->if_contains("arguments");
    return arguments != nullptr && arguments->is_object() ? arguments->get_object() : boost::json::object{};
  }

  Result<boost::json::object> session() {
    return call(R"({"method":"session-get","arguments":{"fields":["peer-port","peer-port-random-on-start","port-forwarding-enabled"]}})");
  }

  InformWish wish_;
  net::HttpClient client_;
  std::string session_id_;
};

}  // namespace

std::unique_ptr<ListeningPortDoor> transmission_door(const InformWish& wish, const Endpoint& endpoint) {
  return std::make_unique<Transmission>(wish, endpoint);
}

}  // namespace drpf::client
