// Accepts clients, those that the policy allows and not more than the limits, and keeps their conversations until they end. Speaks nothing.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include <spdlog/fwd.h>

#include "proxy/conversation.h"

namespace drpf::proxy {

class Server {
 public:
  Server(Parts parts, spdlog::logger& log) : parts_(std::move(parts)), log_(log) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A listening socket. False where it cannot be watched.
  bool listen(system::Fd socket);
  // After each turn of the poller: those that have ended go.
  void clear_ended();

  std::size_t conversations() const { return conversations_.size(); }
  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t refused() const { return refused_; }

 private:
  struct Door {
    Channel channel;
    Task<void> accepting;
  };
  struct Conversation {
    Client client;
    Task<void> task;
    std::list<Conversation>::iterator self;
  };

  Task<void> accept_on(Door& door);
  Task<void> hold(Conversation& conversation);
  void admit(system::Fd socket);
  bool may_enter(const Endpoint& source);
  void tell_refused(const Endpoint& source, const char* why);

  Parts parts_;
  spdlog::logger& log_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::list<Conversation> conversations_;
  std::vector<Conversation*> ended_;
  std::map<Address, std::size_t> by_source_;
  std::uint64_t accepted_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t refused_told_ = 0;
  Deadline refusal_told_{};
};

}  // namespace drpf::proxy
