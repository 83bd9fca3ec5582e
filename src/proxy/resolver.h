// Asks the system's resolver for many conversations at once: a few threads of its own block in getaddrinfo(3), answers are kept for a short
// time. Decides nothing about addresses.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/address.h"
#include "proxy/poller.h"
#include "proxy/task.h"
#include "system/fd.h"

namespace drpf::proxy {

struct Resolved {
  std::vector<Address> addresses;  // in the resolver's order, each once
  std::string why;                 // there are none
};

class Resolver {
 public:
  static constexpr std::size_t threads = 8;
  static constexpr std::size_t waiting_max = 1024;  // questions that no thread has taken yet; more are refused
  static constexpr std::size_t addresses_max = 16;
  static constexpr std::size_t kept_max = 4096;
  // getaddrinfo(3) tells no lifetimes: short enough for names that move.
  static constexpr std::chrono::seconds kept_for{30};
  static constexpr std::chrono::seconds failure_kept_for{3};

  explicit Resolver(Poller& poller);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  Task<Resolved> look_up(std::string name, Deadline deadline);

 private:
  struct Question {
    std::string name;
    system::Fd told;  // written to when the answer is there
    Resolved answer;
    bool answered = false;
  };
  struct Kept {
    Resolved answer;
    Deadline until;
  };

  // Shared with the threads, which may still be in the middle of a question when this has gone: getaddrinfo(3) cannot be called away from.
  struct Desk {
    std::mutex lock;  // of what follows, and of answers
    std::condition_variable news;
    std::deque<std::shared_ptr<Question>> questions;  // shared with the thread that asks: who waits may go away meanwhile
    bool ended = false;
  };

  static void work(Desk& desk);
  void keep(const std::string& name, const Resolved& answer);

  Poller& poller_;
  std::map<std::string, Kept> kept_;

  std::shared_ptr<Desk> desk_ = std::make_shared<Desk>();
};

}  // namespace drpf::proxy
