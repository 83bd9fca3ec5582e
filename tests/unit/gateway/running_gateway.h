// A gateway on fakes with one way in and a history, for tests of what it shows and of what it does when a part fails.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "configuration/policy.h"
#include "gateway/gateway.h"
#include "support/fake_clock.h"
#include "support/fake_redirect.h"
#include "support/fake_way_in.h"
#include "support/memory_store.h"

namespace drpf::gateway {

using namespace std::chrono_literals;

class NotedHistory final : public store::LeaseHistory {
 public:
  Status record(std::span<const lease::Redirection> ended, std::span<const Begun> begun, WallTime) override {
    if (refuse) return fail(failure("disk_full", "the test's disk is full"));
    ended_.insert(ended_.end(), ended.begin(), ended.end());
    begun_.insert(begun_.end(), begun.begin(), begun.end());
    return {};
  }
  Status resume(std::span<const Begun> alive, WallTime) override {
    if (refuse) return fail(failure("disk_full", "the test's disk is full"));
    ++resumed;
    alive_.assign(alive.begin(), alive.end());
    return {};
  }
  Result<std::vector<store::PastLease>> find(const store::HistoryQuery&) override { return std::vector<store::PastLease>(3); }
  Status forget(WallTime ended_before) override {
    if (refuse_to_forget) return fail(failure("disk_full", "the test's disk is full"));
    forgotten_before = ended_before;
    return {};
  }

  bool refuse = false;
  bool refuse_to_forget = false;
  int resumed = 0;
  std::vector<lease::Redirection> ended_;
  std::vector<Begun> begun_;
  std::vector<Begun> alive_;
  std::optional<WallTime> forgotten_before;
};

class RunningGateway : public testing::Test {
 protected:
  void start() {
    gateway_.reset();
    const auto policy = configuration::make_policy(configuration_, hosts_, {});
    auto book = load_book(store_, policy, {"boot-1", clock_.now(), clock_.wall_now()}, OnLosses::refuse, *log_);
    ASSERT_TRUE(book) << book.error().message;
    ASSERT_TRUE(redirect_.reconcile(book->redirections(), clock_.now()));
    Parts parts{store_,
                redirect_,
                {&cans_},
                clock_,
                log_,
                "boot-1",
                [] { return std::vector<api::Finding>(2); },
                [this](const lease::Device&) -> Status {
                  if (no_address) return fail(failure("no_address", "the test's host has no address left"));
                  return {};
                }};
    parts.store_warning = [this] { return store_warning_; };
    parts.history = keeps_history_ ? &history_ : nullptr;
    parts.backup = backup_;
    auto opened = Gateway::open(configuration_, std::move(*book), std::move(parts));
    ASSERT_TRUE(opened) << opened.error().message;
    gateway_ = std::move(*opened);
  }
  void SetUp() override {
    start();
    ASSERT_TRUE(gateway_->add_account("alice", {}));
    const auto device = gateway_->add_device("alice", "laptop", {});
    ASSERT_TRUE(device) << device.error().message;
    laptop_ = device->value.id;
  }

  void connect(const char* endpoint = "203.0.113.9:40000") { connect(laptop_, endpoint); }
  void connect(lease::DeviceId device, const char* endpoint) {
    gateway_->on_tunnel_event(cans_, tunnel::DeviceConnected{device, *parse_endpoint(endpoint)});
  }
  void go_away() { gateway_->on_tunnel_event(cans_, tunnel::DeviceDisconnected{laptop_}); }
  bool is_connected() const { return gateway_->book().device(laptop_)->connected; }
  // How often the log has these words since it was asked last.
  std::size_t said(std::string_view words) {
    const auto text = said_.str();
    std::size_t times = 0;
    for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++times;
    said_.str("");
    return times;
  }
  // Time goes on, and the gateway with it, second by second.
  void wait(Duration time) {
    for (const auto until = clock_.time + time; clock_.time < until;) {
      clock_.time += 1s;
      gateway_->tick();
    }
  }

  configuration::Configuration configuration_ = configuration::default_configuration();
  std::vector<configuration::FoundHost> hosts_{{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}};
  tests::MemoryStore store_;
  tests::FakeRedirect redirect_;
  tests::FakeClock clock_;
  NotedHistory history_;
  bool keeps_history_ = true;
  std::optional<std::string> store_warning_;
  std::function<Result<Bytes>()> backup_;
  bool no_address = false;
  std::ostringstream said_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said_));
  tests::FakeWayIn::Words words_;
  tests::FakeWayIn cans_{words_};
  std::unique_ptr<Gateway> gateway_;
  lease::DeviceId laptop_{};
};

}  // namespace drpf::gateway
