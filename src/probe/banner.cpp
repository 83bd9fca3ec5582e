#include "probe/banner.h"

#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "probe/connect_attempt.h"

namespace drpf::probe {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds patience_step{40};
constexpr std::string_view http_question = "HEAD / HTTP/1.0\r\n\r\n";

struct Conversation {
  std::size_t wish = 0;
  system::Fd fd;
  Clock::time_point until;
  bool connected = false;
};

class BannerReader {
 public:
  BannerReader(const std::vector<BannerWish>& wishes, const BannerLimits& limits, const std::function<bool()>& stop)
      : wishes_(wishes), limits_(limits), stop_(stop), said_(wishes.size()) {}

  std::vector<std::string> whole() {
    while ((next_ < wishes_.size() || !talks_.empty()) && !stop_()) {
      while (next_ < wishes_.size() && talks_.size() < banner_connections_max) begin(next_++);
      wait();
    }
    return std::move(said_);
  }

 private:
  void begin(std::size_t wish) {
    const auto& endpoint = wishes_[wish].endpoint;
    const int scope = limits_.interface.empty() ? 0 : static_cast<int>(::if_nametoindex(limits_.interface.c_str()));
    auto opened = open_attempt({endpoint, limits_.interface, scope, std::nullopt});
    if (!opened.fd.valid()) return;  // a descriptor that is missing is no banner
    talks_.push_back({wish, std::move(opened.fd), Clock::now() + limits_.connect, false});
  }

  void wait() {
    if (talks_.empty()) return;
    std::vector<pollfd> watched;
    auto first = Clock::time_point::max();
    for (const auto& talk : talks_) {
      watched.push_back({talk.fd.get(), static_cast<short>(talk.connected ? POLLIN : POLLOUT), 0});
      first = std::min(first, talk.until);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now());
    const auto pause = std::clamp(left, std::chrono::milliseconds{0}, patience_step);
    ::poll(watched.data(), watched.size(), static_cast<int>(pause.count()));
    const auto now = Clock::now();
    std::vector<Conversation> going;
    for (std::size_t i = 0; i < talks_.size(); ++i) {
      const bool goes_on = watched[i].revents != 0 ? step(talks_[i], now) : now < talks_[i].until;
      if (goes_on) going.push_back(std::move(talks_[i]));
    }
    talks_ = std::move(going);
  }

  // Whether more is to come.
  bool step(Conversation& talk, Clock::time_point now) {
    if (!talk.connected) {
      int error = 0;
      socklen_t size = sizeof error;
      if (::getsockopt(talk.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return false;
      talk.connected = true;
      talk.until = now + limits_.listen;
      if (wishes_[talk.wish].ask_http) ::send(talk.fd.get(), http_question.data(), http_question.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      return true;
    }
    std::array<char, banner_bytes_max> bytes{};
    auto& said = said_[talk.wish];
    const auto count = ::recv(talk.fd.get(), bytes.data(), banner_bytes_max - said.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return now < talk.until;
    if (count <= 0) return false;
    said.append(bytes.data(), static_cast<std::size_t>(count));
    // One line is what most say, and all headers what a web server does; the rest of an answer may take long.
    const auto end = wishes_[talk.wish].ask_http ? std::string_view("\r\n\r\n") : std::string_view("\n");
    return said.size() < banner_bytes_max && said.find(end) == std::string::npos && now < talk.until;
  }

  const std::vector<BannerWish>& wishes_;
  const BannerLimits& limits_;
  const std::function<bool()>& stop_;
  std::vector<std::string> said_;
  std::vector<Conversation> talks_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<std::string> read_banners(const std::vector<BannerWish>& wishes, const BannerLimits& limits,
                                      const std::function<bool()>& stop) {
  return BannerReader(wishes, limits, stop).whole();
}

}  // namespace drpf::probe
