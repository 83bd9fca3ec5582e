#include "client/ports/informer.h"

#include <net/if.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "net/name_lookup.h"
#include "system/socket_diagnosis.h"

namespace drpf::client {

net::Watch open_door(net::EventLoop& loop, const InformWish& wish, DoorOpened opened) {
  const auto at = [&loop, wish](const Address& address) {
    const Endpoint endpoint{address, wish.port};
    return wish.program == InformedProgram::qbittorrent ? qbittorrent_door(loop, wish, endpoint) : transmission_door(loop, wish, endpoint);
  };
  const auto literal = wish.host == "localhost" ? Result<Address>(Address::v4(0x7f000001)) : parse_address(wish.host);
  if (literal) {
    opened(at(*literal));
    return {};
  }
  return net::look_up_name(loop, wish.host, [wish, at, opened = std::move(opened)](const Result<std::vector<Address>>& found) {
    if (found) return opened(at(found->front()));
    opened(fail(
        failure("name_not_found", fmt::format("{}: the name is not found: {}", wish.name(), found.error().message), "Give an address.")));
  });
}

bool is_here(const InformWish& wish) {
  const auto literal = parse_address(wish.host);
  return literal ? literal->is_loopback() : wish.host == "localhost";
}

bool somebody_listens(const std::string& interface, const std::vector<Address>& own, Port port) {
  return is_served(interface, own, port, false).value_or(true);  // who cannot look has nothing to complain of
}

Result<bool> is_served(const std::string& interface, const std::vector<Address>& own, Port port, bool udp_too) {
  const auto number = ::if_nametoindex(interface.c_str());
  auto sockets = system::SocketDiagnosis::open();
  if (!sockets) return fail(sockets.error());
  const auto listening = sockets->listening();
  if (!listening) return fail(listening.error());
  return std::any_of(listening->begin(), listening->end(), [&](const system::OwnedSocket& socket) {
    const auto& local = socket.listening.local;
    return (udp_too || socket.listening.protocol == Protocol::tcp) && local.port == port &&
           (socket.interface == 0 || socket.interface == number) &&
           (local.address.is_unspecified() || std::find(own.begin(), own.end(), local.address) != own.end());
  });
}

Informer::Informer(net::EventLoop& loop, OpenDoor open, IsListening is_listening, Listener listener, InformPauses pauses)
    : loop_(loop),
      open_(std::move(open)),
      is_listening_(std::move(is_listening)),
      listener_(std::move(listener)),
      pauses_(pauses),
      pause_(pauses.check),
      retry_(pauses.retry_first),
      not_before_(std::chrono::steady_clock::now()) {}

void Informer::tell(std::optional<Port> port) {
  port_ = port;
  news_ = true;
  if (doing_ != Doing::asking) rest();
}

// Until there is news, or it is time to look again.
void Informer::rest() {
  doing_ = Doing::nothing;
  timer_.cancel();
  if (!port_ && !news_) return;
  const auto patience = std::chrono::ceil<std::chrono::milliseconds>(not_before_ - std::chrono::steady_clock::now());
  timer_ = loop_.after(std::max(news_ ? std::chrono::milliseconds(0) : pause_, patience), [this] { go_on(); });
}

void Informer::go_on() {
  if (std::exchange(news_, false)) {
    retry_ = pauses_.retry_first;
    seen_to_ = false;
  }
  if (!port_ || port_->is_zero()) {
    informed_ = Port{};
    return rest();
  }
  doing_ = Doing::asking;
  if (door_)
    set(*port_);
  else
    open(*port_);
}

void Informer::open(Port port) {
  opening_ = open_([this, port](Result<std::unique_ptr<ListeningPortDoor>> opened) {
    if (!opened) return on_set(port, fail(opened.error()));
    door_ = std::move(*opened);
    set(port);
  });
}

void Informer::set(Port port) {
  door_->set(port, [this, port](const Result<ListeningPortDoor::Outcome>& done) { on_set(port, done); });
}

void Informer::on_set(Port port, const Result<ListeningPortDoor::Outcome>& done) {
  if (done) {
    if (informed_ != port || failed_told_ || *done == ListeningPortDoor::Outcome::set) listener_.informed(port);
    informed_ = port;
    failed_told_ = false;
    retry_ = pauses_.retry_first;
    pause_ = pauses_.check;
    return see_that_it_listens(port);
  }
  if (!std::exchange(failed_told_, true)) listener_.failed(done.error());
  pause_ = retry_;
  retry_ = std::min(retry_ * 2, pauses_.retry_max);
  if (done.error().code == "login_refused")
    not_before_ = std::chrono::steady_clock::now() + pauses_.after_refusal;
  else
    door_.reset();  // its address may be another one by now
  rest();
}

void Informer::see_that_it_listens(Port port) {
  if (!is_listening_ || seen_to_ || is_listening_(port)) return rest();
  settle([this, port] {
    if (is_listening_(port)) return rest();
    seen_to_ = true;
    reopen(port);
  });
}

void Informer::reopen(Port port) {
  doing_ = Doing::asking;
  door_->reopen(port, [this, port](const Status& reopened) {
    if (!reopened) {
      listener_.failed(reopened.error());
      return rest();
    }
    settle([this, port] {
      if (!is_listening_(port))
        listener_.failed(failure("nobody_listens",
                                 fmt::format("nobody listens on port {} at the tunnel's address, although that is set", to_string(port)),
                                 "Is the program bound to another interface or address?"));
      rest();
    });
  });
}

// News ends it.
void Informer::settle(std::function<void()> then) {
  if (news_) return rest();
  doing_ = Doing::waiting_for_it_to_listen;
  timer_ = loop_.after(pauses_.settle, std::move(then));
}

}  // namespace drpf::client
