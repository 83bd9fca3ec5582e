// Mappings in memory, with a quota for each client and ports that others have. Answers at once, or when it is told to.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "protocol/port_mapping/mappings.h"

namespace drpf::test {

class FakeMappings final : public protocol::port_mapping::Mappings {
 public:
  using Client = protocol::port_mapping::Client;
  using Mapped = protocol::port_mapping::Mapped;
  using Wish = protocol::port_mapping::Wish;
  using Ending = protocol::port_mapping::Ending;

  std::map<Address, Client> clients;
  std::size_t quota = 5;
  std::set<Port> taken;  // by others
  bool answers_later = false;
  std::vector<Wish> wishes;
  std::deque<std::function<void()>> waiting;
  std::optional<Error> refusal;  // of everything

  void answer_all() {
    while (!waiting.empty()) {
      auto next = std::move(waiting.front());
      waiting.pop_front();
      next();
    }
  }

  std::optional<Client> client(const Address& source) const override {
    const auto found = clients.find(source);
    return found == clients.end() ? std::nullopt : std::optional(found->second);
  }
  std::uint32_t epoch_s() const override { return 1234; }
  std::vector<Mapped> mappings_of(const Address& source) const override {
    std::vector<Mapped> out;
    for (const auto& [key, mapped] : mapped_)
      if (key.first == owner(source)) out.push_back(mapped);
    return out;
  }

  void map(const Wish& wish, WhenMapped done) override {
    wishes.push_back(wish);
    perform([this, wish, done = std::move(done)] { done(decide(wish)); });
  }
  void end(const Ending& ending, WhenEnded done) override {
    perform([this, ending, done = std::move(done)] {
      if (refusal) return done(fail(*refusal));
      const auto before = mapped_.size();
      std::erase_if(mapped_, [&](const auto& entry) {
        const auto& mapped = entry.second;
        return entry.first.first == owner(ending.client) && (!ending.protocol || *ending.protocol == mapped.protocol) &&
               (!ending.internal_port || *ending.internal_port == mapped.internal_port) &&
               (!ending.external_ports || ending.external_ports->contains(mapped.external_port)) &&
               (!ending.door || *ending.door == mapped.door);
      });
      done(before - mapped_.size());
    });
  }
  // As if it had come in by another protocol.
  void put(const Address& source, Mapped mapped) { mapped_[{owner(source), {mapped.external_port, mapped.protocol}}] = std::move(mapped); }

 private:
  using Number = std::pair<Port, Protocol>;

  Address owner(const Address& source) const {
    const auto found = client(source);
    return found && found->inside_v4 ? *found->inside_v4 : source;
  }
  void perform(std::function<void()> action) {
    if (answers_later)
      waiting.push_back(std::move(action));
    else
      action();
  }
  bool is_free(Port port, Protocol protocol) const {
    return !taken.contains(port) &&
           std::none_of(mapped_.begin(), mapped_.end(), [&](const auto& entry) { return entry.first.second == Number{port, protocol}; });
  }
  Result<std::vector<Mapped>> decide(const Wish& wish) {
    if (refusal) return fail(*refusal);
    const auto found = client(wish.client);
    if (!found) return fail(not_found("device_unknown", "there is no such client"));
    auto port = wish.suggested_port;
    for (auto& [key, mapped] : mapped_) {
      if (key.first != owner(wish.client) || mapped.protocol != wish.protocol || mapped.internal_port != wish.internal_port) continue;
      if (wish.only_suggested && mapped.external_port != port) continue;
      mapped.lifetime = wish.lifetime;
      mapped.door = wish.door;
      mapped.description = wish.description;
      return std::vector{mapped};
    }
    if (wish.only_suggested && !is_free(port, wish.protocol)) return fail(refusal_of("port_taken"));
    if (mappings_of(wish.client).size() >= quota) return fail(refusal_of("quota_exhausted"));
    if (port.is_zero() || !is_free(port, wish.protocol))
      for (port = Port{20000}; !is_free(port, wish.protocol);) port = Port{static_cast<std::uint16_t>(port.value() + 1)};
    Mapped mapped;
    mapped.protocol = wish.protocol;
    mapped.internal_port = wish.internal_port;
    mapped.external_port = port;
    mapped.local_port = wish.internal_port;
    mapped.external_v4 = found->external_v4;
    mapped.external_v6 = found->external_v6;
    mapped.lifetime = wish.lifetime;
    mapped.door = wish.door;
    mapped.description = wish.description;
    put(wish.client, mapped);
    return std::vector{mapped};
  }
  static Error refusal_of(std::string code) { return drpf::refusal(std::move(code), "refused by the test's book"); }

  std::map<std::pair<Address, Number>, Mapped> mapped_;
};

}  // namespace drpf::test
