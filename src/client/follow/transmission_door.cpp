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
  Transmission(net::EventLoop& loop, const InformWish& wish, const Endpoint& endpoint)
      : loop_(loop), wish_(wish), client_(net::HttpClient::over_tcp(endpoint, options())) {
    if (wish_.path.empty()) wish_.path = "/transmission/rpc";
  }

  void set(Port port, WhenSet done) override {
    session([this, port, done = std::move(done)](const Result<boost::json::object>& before) {
      if (!before) return done(fail(before.error()));
      if (is_so(*before, port)) return done(Outcome::was_so);
      configure(port, done);
    });
  }

 private:
  using WhenAnswered = std::function<void(Result<boost::json::object>)>;

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

  static bool is_so(const boost::json::object& session, Port port) {
    return number(session, "peer-port") == port.value() && !flag(session, "peer-port-random-on-start") &&
           !flag(session, "port-forwarding-enabled");
  }

  // A random port would replace ours at the next start; its own port mapping would ask for a second lease.
  void configure(Port port, const WhenSet& done) {
    const auto body = fmt::format(
        R"({{"method":"session-set","arguments":{{"peer-port":{},"peer-port-random-on-start":false,"port-forwarding-enabled":false}}}})",
        port.value());
    call(body, [this, port, done](const Result<boost::json::object>& answer) {
      if (!answer) return done(fail(answer.error()));
      session([this, port, done](const Result<boost::json::object>& after) {
        if (!after) return done(fail(after.error()));
        if (is_so(*after, port)) return done(Outcome::set);
        done(fail(failure("port_not_taken", fmt::format("{} did not take port {} and stays at {}", wish_.name(), to_string(port),
                                                        number(*after, "peer-port")))));
      });
    });
  }

  void send(const std::string& body, net::HttpClient::Done done) {
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
    request_ = client_.request(loop_, request, std::move(done));
  }

  // The arguments of the answer. A call without the session's present number is refused with it: the second one has it.
  void call(const std::string& body, WhenAnswered done) {
    send(body, [this, body, done = std::move(done)](const Result<net::ClientResponse>& answer) {
      if (!answer || answer->status != 409) return done(arguments_of(answer));
      session_id_ = answer->header(session_header);
      send(body, [this, done](const Result<net::ClientResponse>& second) { done(arguments_of(second)); });
    });
  }

  Result<boost::json::object> arguments_of(const Result<net::ClientResponse>& answer) const {
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

  void session(WhenAnswered done) {
    call(R"({"method":"session-get","arguments":{"fields":["peer-port","peer-port-random-on-start","port-forwarding-enabled"]}})",
         std::move(done));
  }

  net::EventLoop& loop_;
  InformWish wish_;
  net::HttpClient client_;
  std::string session_id_;
  net::Watch request_;
};

}  // namespace

std::unique_ptr<ListeningPortDoor> transmission_door(net::EventLoop& loop, const InformWish& wish, const Endpoint& endpoint) {
  return std::make_unique<Transmission>(loop, wish, endpoint);
}

}  // namespace drpf::client
