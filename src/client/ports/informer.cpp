#include "client/ports/informer.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>

#include <fmt/format.h>

#include "core/bytes.h"
#include "system/socket_diagnosis.h"

namespace drpf::client {
namespace {

Result<Address> look_up(const InformWish& wish) {
  if (const auto literal = parse_address(wish.host)) return *literal;
  if (wish.host == "localhost") return Address::v4(0x7f000001);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(wish.host.c_str(), nullptr, &hints, &found); error != 0)
    return fail(
        failure("name_not_found", fmt::format("{}: the name is not found: {}", wish.name(), ::gai_strerror(error)), "Give an address."));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  for (const auto* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(one->ai_addr);
      return Address::from_bytes(ByteView(reinterpret_cast<const std::uint8_t*>(&address->sin_addr), 4));
    } else if (one->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(one->ai_addr);
      return Address::from_bytes(ByteView(reinterpret_cast<const std::uint8_t*>(&address->sin6_addr), 16));
    }
  }
  return fail(failure("name_not_found", fmt::format("{}: the name has no address", wish.name()), "Give an address."));
}

}  // namespace

Result<std::unique_ptr<ListeningPortDoor>> open_door(const InformWish& wish) {
  const auto address = look_up(wish);
  if (!address) return fail(address.error());
  const Endpoint endpoint{*address, wish.port};
  return wish.program == InformedProgram::qbittorrent ? qbittorrent_door(wish, endpoint) : transmission_door(wish, endpoint);
}

bool is_here(const InformWish& wish) {
  const auto literal = parse_address(wish.host);
  return literal ? literal->is_loopback() : wish.host == "localhost";
}

bool somebody_listens(const std::string& interface, const std::vector<Address>& own, Port port) {
  const auto number = ::if_nametoindex(interface.c_str());
  auto sockets = system::SocketDiagnosis::open();
  if (!sockets) return true;  // who cannot look has nothing to complain of
  const auto listening = sockets->listening();
  if (!listening) return true;
  return std::any_of(listening->begin(), listening->end(), [&](const system::OwnedSocket& socket) {
    const auto& local = socket.listening.local;
    return socket.listening.protocol == Protocol::tcp && local.port == port && (socket.interface == 0 || socket.interface == number) &&
           (local.address.is_unspecified() || std::find(own.begin(), own.end(), local.address) != own.end());
  });
}

Informer::Informer(OpenDoor open, IsListening is_listening, Listener listener, InformPauses pauses)
    : open_(std::move(open)), is_listening_(std::move(is_listening)), listener_(std::move(listener)), pauses_(pauses), thread_([this] {
        run_loop();
      }) {}

Informer::~Informer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Informer::tell(std::optional<Port> port) {
  const std::lock_guard lock(mutex_);
  port_ = port;
  news_ = true;
  changed_.notify_all();
}

void Informer::run_loop() {
  auto retry = pauses_.retry_first;
  bool failed_told = false;
  Port informed;  // told to the listener; zero = none
  auto pause = pauses_.check;
  auto not_before = std::chrono::steady_clock::now();  // later after a refusal, whatever the news
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!port_)
      changed_.wait(lock, [this] { return stopping_ || news_; });
    else
      changed_.wait_for(lock, pause, [this] { return stopping_ || news_; });
    changed_.wait_until(lock, not_before, [this] { return stopping_; });
    if (stopping_) return;
    if (news_) {
      retry = pauses_.retry_first;
      seen_to_ = false;
    }
    news_ = false;
    const Port port = port_.value_or(Port{});
    if (port.is_zero()) {
      informed = port;
      continue;
    }

    lock.unlock();
    auto done = carry_out(port);
    if (done) {
      if (informed != port || failed_told || *done == ListeningPortDoor::Outcome::set) listener_.informed(port);
      if (const auto listens = see_that_it_listens(port); !listens) listener_.failed(listens.error());
      informed = port;
      failed_told = false;
      retry = pauses_.retry_first;
      pause = pauses_.check;
    } else {
      if (!failed_told) listener_.failed(done.error());
      failed_told = true;
      if (done.error().code == "login_refused") {
        not_before = std::chrono::steady_clock::now() + pauses_.after_refusal;
      } else {
        door_.reset();  // its address may be another one by now
      }
      pause = retry;
      retry = std::min(retry * 2, pauses_.retry_max);
    }
    lock.lock();
  }
}

Result<ListeningPortDoor::Outcome> Informer::carry_out(Port port) {
  if (!door_) {
    auto opened = open_();
    if (!opened) return fail(opened.error());
    door_ = std::move(*opened);
  }
  return door_->set(port);
}

bool Informer::is_news_within(std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, pause, [this] { return stopping_ || news_; });
}

Status Informer::see_that_it_listens(Port port) {
  if (!is_listening_ || seen_to_ || is_listening_(port)) return {};
  if (is_news_within(pauses_.settle) || is_listening_(port)) return {};
  seen_to_ = true;
  if (auto reopened = door_->reopen(port); !reopened) return reopened;
  if (is_news_within(pauses_.settle) || is_listening_(port)) return {};
  return fail(failure("nobody_listens",
                      fmt::format("nobody listens on port {} at the tunnel's address, although that is set", to_string(port)),
                      "Is the program bound to another interface or address?"));
}

}  // namespace drpf::client
