// The one lease book, as the servers of the port-mapping protocols see it. Requests that come in one batch are committed together; each is
// answered when that is done, and what it says is so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <spdlog/fwd.h>

#include "api/reply.h"
#include "gateway/gateway.h"
#include "protocol/port_mapping/mappings.h"

namespace drpf::gateway {

class PortMappings final : public protocol::port_mapping::Mappings {
 public:
  PortMappings(Gateway& gateway, std::shared_ptr<spdlog::logger> log, api::Hold hold = {})
      : gateway_(gateway), log_(std::move(log)), hold_(std::move(hold)) {}

  // What is asked for in `requests` is committed together behind it, and then answered.
  void together(const std::function<void()>& requests);

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

  api::Hold hold_;
  bool batched_ = false;  // within together()
  std::vector<Waiting> waiting_;
  std::map<lease::DeviceId, Time> refusal_logged_;
};

}  // namespace drpf::gateway
