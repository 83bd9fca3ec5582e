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
  Qbittorrent(net::EventLoop& loop, const InformWish& wish, const Endpoint& endpoint)
      : loop_(loop), wish_(wish), client_(net::HttpClient::over_tcp(endpoint, options())) {}

  void set(Port port, WhenSet done) override {
    preferences([this, port, done = std::move(done)](const Result<Preferences>& before) {
      if (!before) return done(fail(before.error()));
      if (before->listen_port == port.value() && !before->random_port && !before->upnp) return done(Outcome::was_so);
      configure(port, [this, port, done](const Status& status) {
        if (!status) return done(fail(status.error()));
        preferences([this, port, done](const Result<Preferences>& after) {
          if (!after) return done(fail(after.error()));
          if (after->listen_port == port.value()) return done(Outcome::set);
          done(fail(failure("port_not_taken",
                            fmt::format("{} did not take port {} and stays at {}", wish_.name(), to_string(port), after->listen_port))));
        });
      });
    });
  }

  // It does not notice when the interface that it listened on comes back, and nothing changes for it unless the number does.
  void reopen(Port port, WhenReopened done) override {
    const Port another{static_cast<std::uint16_t>(port.value() ^ 1U)};
    configure(another, [this, port, done = std::move(done)](const Status& status) {
      if (!status) return done(status);
      // A turn of its event loop, in which the change is carried out.
      preferences([this, port, done](const Result<Preferences>& seen) {
        if (!seen) return done(fail(seen.error()));
        configure(port, done);
      });
    });
  }

 private:
  using WhenAnswered = std::function<void(Result<std::string>)>;

  // A random port would replace ours at the next start; its own port mapping would ask for a second lease.
  void configure(Port port, std::function<void(Status)> done) {
    const auto json = fmt::format(R"({{"listen_port":{},"random_port":false,"upnp":false}})", port.value());
    call("POST", "/api/v2/app/setPreferences", "json=" + form_encoded(json), [done = std::move(done)](const Result<std::string>& answer) {
      if (!answer) return done(fail(answer.error()));
      done({});
    });
  }

  net::HttpClient::Options options() const {
    net::HttpClient::Options options;
    options.timeout = inform_request_time_max;
    options.body_bytes_max = inform_answer_size_max;
    options.who = to_string(wish_.program);
    return options;
  }

  void send(std::string_view method, std::string_view path, std::string body, net::HttpClient::Done done) {
    net::ClientRequest request;
    request.method = method;
    request.target = wish_.path + std::string(path);
    request.body = std::move(body);
    request.content_type = "application/x-www-form-urlencoded";
    if (!cookie_.empty()) request.more_headers.emplace_back("Cookie", cookie_);
    request_ = client_.request(loop_, request, std::move(done));
  }

  void log_in(std::function<void(Status)> done) {
    cookie_.clear();
    send("POST", "/api/v2/auth/login", fmt::format("username={}&password={}", form_encoded(wish_.user), form_encoded(wish_.password)),
         [this, done = std::move(done)](const Result<net::ClientResponse>& answer) {
           if (!answer) return done(fail(answer.error()));
           const auto set_cookie = answer->header("Set-Cookie");
           if (answer->status >= 300 || answer->body.starts_with("Fails") || set_cookie.empty())
             return done(fail(
                 refusal("login_refused", fmt::format("{} refuses user {} and the password ({})", wish_.name(), wish_.user, answer->status),
                         "Correct them and connect again. After several failures qBittorrent bans this address for a while.")));
           cookie_ = set_cookie.substr(0, set_cookie.find(';'));
           done({});
         });
  }

  // A call without a session, or with one that has ended, is made again after a login.
  void call(std::string_view method, std::string path, const std::string& body, WhenAnswered done) {
    send(method, path, body, [this, method, path, body, done = std::move(done)](const Result<net::ClientResponse>& answer) {
      if (!answer || (answer->status != 401 && answer->status != 403)) return done(body_of(answer, path));
      if (wish_.user.empty())
        return done(fail(failure("login_needed", fmt::format("{} wants a login", wish_.name()),
                                 "Name the user in the URL (http://USER@...), or let it admit clients on localhost without: Web UI "
                                 "settings, \"Bypass authentication for clients on localhost\".")));
      log_in([this, method, path, body, done](const Status& status) {
        if (!status) return done(fail(status.error()));
        send(method, path, body, [this, path, done](const Result<net::ClientResponse>& second) { done(body_of(second, path)); });
      });
    });
  }

  Result<std::string> body_of(const Result<net::ClientResponse>& answer, std::string_view path) const {
    if (!answer) return fail(answer.error());
    if (answer->status >= 300)
      return fail(failure("inform_failed", fmt::format("{} answered {} to {}", wish_.name(), answer->status, path), "Is this its Web UI?"));
    return answer->body;
  }

  void preferences(std::function<void(Result<Preferences>)> done) {
    call("GET", "/api/v2/app/preferences", {}, [this, done = std::move(done)](const Result<std::string>& body) {
      if (!body) return done(fail(body.error()));
      done(parse_preferences(*body));
    });
  }

  Result<Preferences> parse_preferences(std::string_view text) const {
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
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

  net::EventLoop& loop_;
  InformWish wish_;
  net::HttpClient client_;
  std::string cookie_;
  net::Watch request_;
};

}  // namespace

std::unique_ptr<ListeningPortDoor> qbittorrent_door(net::EventLoop& loop, const InformWish& wish, const Endpoint& endpoint) {
  return std::make_unique<Qbittorrent>(loop, wish, endpoint);
}

}  // namespace drpf::client
