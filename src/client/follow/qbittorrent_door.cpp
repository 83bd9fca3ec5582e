#include <fmt/format.h>
#include <boost/json.hpp>

#include "client/follow/listening_port_door.h"
#include "net/http_client.h"

namespace drpf::client {
namespace {

std::string form_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

struct Preferences {
  std::int64_t listen_port = 0;
  bool random_port = false;
  bool upnp = false;
};

class Qbittorrent : public ListeningPortDoor {
 public:
  Qbittorrent(const InformWish& wish, const Endpoint& endpoint) : wish_(wish), client_(net::HttpClient::over_tcp(endpoint, options())) {}

  Result<Outcome> set(Port port) override {
    const auto before = preferences();
    if (!before) return fail(before.error());
    if (before->listen_port == port.value() && !before->random_port && !before->upnp) return Outcome::was_so;
    if (const auto status = configure(port); !status) return fail(status.error());
    const auto after = preferences();
    if (!after) return fail(after.error());
    if (after->listen_port != port.value())
      return fail(failure("port_not_taken",
                          fmt::format("{} did not take port {} and stays at {}", wish_.name(), to_string(port), after->listen_port)));
    return Outcome::set;
  }

  // It does not notice when the interface that it listened on comes back, and nothing changes for it unless the number does.
  Status reopen(Port port) override {
    const Port another{static_cast<std::uint16_t>(port.value() ^ 1U)};
    if (auto status = configure(another); !status) return status;
    if (const auto seen = preferences(); !seen) return fail(seen.error());  // a turn of its event loop, in which the change is carried out
    return configure(port);
  }

 private:
  // A random port would replace ours at the next start; its own port mapping would ask for a second lease.
  Status configure(Port port) {
    const auto json = fmt::format(R"({{"listen_port":{},"random_port":false,"upnp":false}})", port.value());
    const auto answer = call("POST", "/api/v2/app/setPreferences", "json=" + form_encoded(json));
    if (!answer) return fail(answer.error());
    return {};
  }

  net::HttpClient::Options options() const {
    net::HttpClient::Options options;
    options.timeout = inform_request_time_max;
    options.body_bytes_max = inform_answer_size_max;
    options.who = to_string(wish_.program);
    return options;
  }

  Result<net::ClientResponse> send(std::string_view method, std::string_view path, std::string body) const {
    net::ClientRequest request;
    request.method = method;
    request.target = wish_.path + std::string(path);
    request.body = std::move(body);
    request.content_type = "application/x-www-form-urlencoded";
    if (!cookie_.empty()) request.more_headers.emplace_back("Cookie", cookie_);
    return client_.request(request);
  }

  Status log_in() {
    cookie_.clear();
    auto answer =
        send("POST", "/api/v2/auth/login", fmt::format("username={}&password={}", form_encoded(wish_.user), form_encoded(wish_.password)));
    if (!answer) return fail(answer.error());
    const auto set_cookie = answer->header("Set-Cookie");
    if (answer->status >= 300 || answer->body.starts_with("Fails") || set_cookie.empty()) {
      return fail(refusal("login_refused",
                          fmt::format("{} refuses user {} and the password ({})", wish_.name(), wish_.user, answer->status),
                          "Correct them and connect again. After several failures qBittorrent bans this address for a while."));
    }
    cookie_ = set_cookie.substr(0, set_cookie.find(';'));
    return {};
  }

  Result<std::string> call(std::string_view method, std::string_view path, const std::string& body) {
    auto answer = send(method, path, body);
    if (answer && (answer->status == 401 || answer->status == 403)) {
      if (wish_.user.empty()) {
        return fail(failure("login_needed", fmt::format("{} wants a login", wish_.name()),
                            "Name the user in the URL (http://USER@...), or let it admit clients on localhost without: Web UI settings, "
                            "\"Bypass authentication for clients on localhost\"."));
      }
      if (const auto status = log_in(); !status) return fail(status.error());
      answer = send(method, path, body);
    }
    if (!answer) return fail(answer.error());
    if (answer->status >= 300)
      return fail(failure("inform_failed", fmt::format("{} answered {} to {}", wish_.name(), answer->status, path), "Is this its Web UI?"));
    return std::move(answer->body);
  }

  Result<Preferences> preferences() {
    const auto body = call("GET", "/api/v2/app/preferences", {});
    if (!body) return fail(body.error());
    boost::system::error_code error;
    const auto value = boost::json::parse(*body, error);
    const auto* object = error ? nullptr : value.if_object();
    const auto* port = object == nullptr ? nullptr : object->if_contains("listen_port");
    if (port == nullptr || !port->is_int64())
      return fail(
          failure("inform_failed", fmt::format("{} does not tell its listening port", wish_.name()), "Is this qBittorrent 4.1 or newer?"));
    const auto flag = [object](std::string_view key) {
      const auto* found = object->if_contains(key);
      return found != nullptr && found->is_bool() && found->get_bool();
    };
    Preferences preferences;
    preferences.listen_port = port->get_int64();
    preferences.random_port = flag("random_port");
    preferences.upnp = flag("upnp");
    return preferences;
  }

  InformWish wish_;
  net::HttpClient client_;
  std::string cookie_;
};

}  // namespace

std::unique_ptr<ListeningPortDoor> qbittorrent_door(const InformWish& wish, const Endpoint& endpoint) {
  return std::make_unique<Qbittorrent>(wish, endpoint);
}

}  // namespace drpf::client
