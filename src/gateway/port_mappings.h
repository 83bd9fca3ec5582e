// The one lease book, as the servers of the port-mapping protocols see it. Requests that come in one batch are committed together; each is
// answered when that is done, and what it says is so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <spdlog/fwd.h>

#include "gateway/gateway.h"
#include "protocol/port_mapping/mappings.h"

namespace drpf::gateway {

class PortMappings final : public protocol::port_mapping::Mappings {
 public:
  // Keeps an answer until its ticket has settled. Without one, answers are not kept.
  using Hold = std::function<void(redirect::Redirect::Ticket, std::function<void()>)>;

  PortMappings(Gateway& gateway, std::shared_ptr<spdlog::logger> log, Hold hold = {})
      : gateway_(gateway), log_(std::move(log)), hold_(std::move(hold)) {}

  // While one exists, requests wait; its end commits and answers them.
  class Batch {
   public:
    explicit Batch(PortMappings& mappings) : mappings_(mappings) { mappings_.batched_ = true; }
    ~Batch() { mappings_.finish(); }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

   private:
    PortMappings& mappings_;
  };

  std::optional<protocol::port_mapping::Client> client(const Address& source) const override;
  std::uint32_t epoch_s() const override;
  std::vector<protocol::port_mapping::Mapped> mappings_of(const Address& client) const override;
  void map(const protocol::port_mapping::Wish& wish, WhenMapped done) override;
  void end(const protocol::port_mapping::Ending& ending, WhenEnded done) override;

 private:
  static constexpr Duration refusal_log_pause = std::chrono::seconds(10);  // of one device

  void finish();
  void note_refusal(const lease::Device& device, lease::Door door, const Error& error);
  protocol::port_mapping::Mapped mapped(const lease::Lease& lease) const;

  Gateway& gateway_;
  std::shared_ptr<spdlog::logger> log_;
  struct Waiting {
    std::vector<lease::Lease> granted;
    std::function<void(const Status&)> answer;  // to one request
  };

  Hold hold_;
  bool batched_ = false;
  std::vector<Waiting> waiting_;
  std::map<lease::DeviceId, Time> refusal_logged_;
};

}  // namespace drpf::gateway
