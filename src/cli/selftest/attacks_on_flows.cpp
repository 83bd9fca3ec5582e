// Connections that outlive their lease: what the old holder must no longer receive or send, and the new one must not receive.
#include <thread>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "cli/selftest/attacks.h"
#include "cli/selftest/limits.h"
#include "cli/selftest/packets.h"

namespace drpf::cli::selftest {
namespace {

Finding not_possible(const Error& error) {
  Trial trial;
  trial.control(false, error.message);
  return trial.end({});
}

// A visitor's UDP conversation with a lease, both ways.
struct Conversation {
  Udp server;
  Udp visitor;
  Endpoint lease;

  static Result<Conversation> open(Ground& ground, Family family, const Actor& holder, Port port) {
    auto server = Udp::open(holder.machine, {holder.inside(family), port});
    if (!server) return fail(server.error());
    auto visitor = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
    if (!visitor) return fail(visitor.error());
    return Conversation{std::move(*server), std::move(*visitor), {ground.gateway_public(family), port}};
  }

  // Question and answer, so that the kernel knows the flow in both directions.
  bool speaks(Ground& ground) const {
    const std::string question = ground.token(), answer = ground.token();
    visitor.send(lease, question);
    const auto asked = server.receive(question, limits::arrival);
    if (!asked) return false;
    server.send(asked->from, answer);
    return visitor.receive(answer, limits::arrival).has_value();
  }

  void repeat(const std::string& token) const {
    for (int i = 0; i < limits::packets_each; ++i) visitor.send(lease, token);
  }
};

}  // namespace

Finding stale_inbound_udp(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto ending = ground.lease(ground.owner), staying = ground.lease(ground.owner);
  if (!ending || !staying) return not_possible((ending ? staying : ending).error());
  auto old = Conversation::open(ground, family, ground.owner, *ending);
  auto other = Conversation::open(ground, family, ground.owner, *staying);
  if (!old || !other) return not_possible((old ? other : old).error());
  trial.control(old->speaks(ground), "the lease did not work before it ended");
  const std::string one_way = ground.token();
  if (const Status ended = ground.end_lease(*ending); !ended) return not_possible(ended.error());
  old->repeat(one_way);
  trial.control(other->speaks(ground), "the other lease of the same device did not work meanwhile");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.owner.watch.saw(one_way), "packets of a running UDP conversation came to the device after its lease had ended");
  return trial.end(
      fmt::format("a UDP conversation went on after its lease was removed: 0 of {} packets came to the device", limits::packets_each));
}

Finding stale_inbound_tcp(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto ending = ground.lease(ground.owner), staying = ground.lease(ground.owner);
  if (!ending || !staying) return not_possible((ending ? staying : ending).error());
  auto other = Conversation::open(ground, family, ground.owner, *staying);
  auto server = Tcp::listen(ground.owner.machine, {ground.owner.inside(family), *ending});
  if (!other || !server) return not_possible((other ? server.error() : other.error()));
  const Endpoint lease{ground.gateway_public(family), *ending};
  const Endpoint any_visitor{ground.visitor_address(family), Port()};
  auto visitor = Tcp::connect(ground.visitor, any_visitor, lease, limits::arrival);
  auto session = server->accept(visitor ? limits::arrival : Duration::zero());
  trial.control(visitor && session, "the lease did not work before it ended");
  if (!visitor || !session) return trial.end({});
  const std::string before = ground.token(), after = ground.token(), back = ground.token();
  visitor->send(before);
  trial.control(ground.owner.watch.awaits(before, limits::arrival), "the connection carried nothing before the lease ended");
  if (const Status ended = ground.end_lease(*ending); !ended) return not_possible(ended.error());
  visitor->send(after);
  session->send(back);
  trial.control(other->speaks(ground), "the other lease of the same device did not work meanwhile");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.owner.watch.saw(after), "data of an open TCP connection came to the device after its lease had ended");
  trial.breach(ground.visitor_watch.saw(back), "data of an open TCP connection left the device after its lease had ended");
  trial.breach(Tcp::connect(ground.visitor, any_visitor, lease, limits::silence).has_value(), "the port still accepts connections");
  return trial.end("an open TCP connection stopped in both directions with its lease, and the port took no new one");
}

Finding stale_outbound(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto ending = ground.lease(ground.owner), staying = ground.lease(ground.owner);
  if (!ending || !staying) return not_possible((ending ? staying : ending).error());
  auto other = Conversation::open(ground, family, ground.owner, *staying);
  auto sender = Udp::open(ground.owner.machine, {ground.owner.inside(family), *ending});
  auto peer = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
  if (!other || !sender || !peer) return not_possible((!other ? other.error() : !sender ? sender.error() : peer.error()));
  const Endpoint to{ground.visitor_address(family), peer->port()};
  const std::string first = ground.token(), reply = ground.token(), late_reply = ground.token(), late = ground.token();
  sender->send(to, first);
  const auto seen = peer->receive(first, limits::arrival);
  trial.control(seen && seen->from.port == *ending, "the holder of a lease did not send from its public port");
  if (!seen) return trial.end({});
  peer->send(seen->from, reply);
  trial.control(ground.owner.watch.awaits(reply, limits::arrival), "the reply did not come while the lease lived");
  if (const Status ended = ground.end_lease(*ending); !ended) return not_possible(ended.error());
  for (int i = 0; i < limits::packets_each; ++i) peer->send(seen->from, late_reply);
  sender->send(to, late);
  trial.control(other->speaks(ground), "the other lease of the same device did not work meanwhile");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.owner.watch.saw(late_reply), "replies to the port came to its old holder after the lease had ended");
  const auto still = peer->receive(late, limits::settle);
  trial.breach(still && still->from.port == *ending, "the old holder still sends from the port after the lease has ended");
  return trial.end(
      "the device had a conversation of its own from its leased port; after the end it neither received nor sent by that port");
}

Finding stale_after_move(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto old = Conversation::open(ground, family, ground.owner, *port);
  if (!old) return not_possible(old.error());
  trial.control(old->speaks(ground), "the lease did not work before it moved");
  if (const Status ended = ground.end_lease(*port); !ended) return not_possible(ended.error());
  if (const auto moved = ground.lease(ground.second, *port); !moved) return not_possible(moved.error());
  auto server = Udp::open(ground.second.machine, {ground.second.inside(family), *port});
  if (!server) return not_possible(server.error());
  const std::string on = ground.token();
  old->repeat(on);
  trial.control(ground.second.watch.awaits(on, limits::arrival), "the new holder is not reached by the visitor who was there before");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.owner.watch.saw(on), "packets came to the old holder after the port was moved to another device");
  return trial.end("a port was moved to another device in the middle of a conversation: from then on all went to the new holder");
}

Finding mid_stream(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto old_server = Tcp::listen(ground.owner.machine, {ground.owner.inside(family), *port});
  if (!old_server) return not_possible(old_server.error());
  const Endpoint lease{ground.gateway_public(family), *port};
  const Address visitor_address = ground.visitor_address(family);
  auto visitor = Tcp::connect(ground.visitor, {visitor_address, Port()}, lease, limits::arrival);
  trial.control(visitor && old_server->accept(limits::arrival), "the lease did not work before it moved");
  if (!visitor) return trial.end({});
  if (const Status ended = ground.end_lease(*port); !ended) return not_possible(ended.error());
  if (const auto moved = ground.lease(ground.second, *port); !moved) return not_possible(moved.error());
  auto server = Tcp::listen(ground.second.machine, {ground.second.inside(family), *port});
  auto raw = RawSender::on(ground.visitor, family);
  if (!server || !raw) return not_possible((server ? raw.error() : server.error()));
  const std::string payload = ground.token();
  // The old conversation goes on, as the visitor's own kernel would do and as one that repeats itself.
  visitor->send(payload);
  const Addresses addresses{visitor_address, lease.address};
  for (int i = 0; i < limits::packets_each; ++i)
    raw->send(lease.address, tcp_packet(addresses, {visitor->port(), *port}, tcp_flag::psh | tcp_flag::ack,
                                        5000U + static_cast<std::uint32_t>(i), payload));
  auto fresh = Tcp::connect(ground.visitor, {visitor_address, Port()}, lease, limits::arrival);
  trial.control(fresh && server->accept(limits::arrival), "the new holder takes no new connection");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.second.watch.saw(payload), "data of the old holder's TCP conversation came to the new holder of the port");
  trial.breach(ground.owner.watch.saw(payload), "data of the TCP conversation came to the old holder after the port was moved");
  return trial.end("a TCP conversation went on after its port was moved: none of its data came to the new holder, nor to the old one");
}

namespace {

// The kernel's elements of a lease with a second to live in place of an hour, as if that hour had passed. The gateway is stopped, so that
// nobody renews them.
constexpr int seconds_left = 1;

Status shorten_lives(const Ground& ground) {
  const auto listed = ground.gateway_machine.run({"nft", "-j", "list", "table", "inet", "drpf"});
  if (!listed) return fail(listed.error());
  boost::system::error_code error;
  const auto parsed = boost::json::parse(*listed, error);
  if (error || !parsed.is_object()) return fail(failure("nft", "the table could not be read as JSON"));
  boost::json::array commands;
  for (const auto& item : parsed.as_object().at("nftables").as_array()) {
    const auto& object = item.as_object();
    const auto* set = object.if_contains("set");
    if (set == nullptr) set = object.if_contains("map");
    if (set == nullptr || !set->as_object().contains("elem")) continue;
    const std::string name(set->as_object().at("name").as_string());
    if (name.starts_with("endpoints") || name.starts_with("flows") || name.starts_with("visits") || name.starts_with("rates")) continue;
    boost::json::array gone, again;
    for (const auto& element : set->as_object().at("elem").as_array()) {
      // A set's element is {"elem": {"val", "timeout", "expires"}}, a map's a pair of that and its value.
      const bool pair = element.is_array();
      auto key = pair ? element.as_array().at(0) : element;
      if (!key.is_object() || !key.as_object().contains("elem")) continue;
      auto& body = key.as_object().at("elem").as_object();
      const auto plain = body.at("val");
      body["timeout"] = seconds_left;
      body["expires"] = seconds_left;
      gone.push_back(pair ? boost::json::value(boost::json::array{plain, element.as_array().at(1)}) : plain);
      again.push_back(pair ? boost::json::value(boost::json::array{key, element.as_array().at(1)}) : key);
    }
    const auto command = [&](boost::json::array elements) {
      return boost::json::object{{"element", {{"family", "inet"}, {"table", "drpf"}, {"name", name}, {"elem", std::move(elements)}}}};
    };
    if (gone.empty()) continue;
    commands.push_back(boost::json::object{{"delete", command(std::move(gone))}});
    commands.push_back(boost::json::object{{"add", command(std::move(again))}});
  }
  const auto set =
      ground.gateway_machine.run({"nft", "-j", "-f", "-"}, boost::json::serialize(boost::json::object{{"nftables", commands}}));
  return set ? Status() : fail(set.error());
}

}  // namespace

Finding stale_after_expiry(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto conversation = Conversation::open(ground, family, ground.owner, *port);
  if (!conversation) return not_possible(conversation.error());
  trial.control(conversation->speaks(ground), "the lease did not work while the gateway lived");
  ground.gateway.kill();
  // The tunnel went with the gateway. In its place stands an interface of its name, which shows what the kernel would have sent there.
  if (const Status made = ground.stand_in_for_tunnel(); !made) return not_possible(made.error());
  const std::string alive = ground.token(), expired = ground.token();
  conversation->repeat(alive);
  std::this_thread::sleep_for(limits::settle);
  trial.control(ground.gateway_watch.sent(alive), "with the gateway dead the lease was not redirected up to its end");
  if (const Status shortened = shorten_lives(ground); !shortened) return not_possible(shortened.error());
  std::this_thread::sleep_for(std::chrono::seconds(seconds_left) + limits::silence);
  conversation->repeat(expired);
  trial.control(ground.gateway_watch.awaits(expired, limits::arrival), "the visitor's packet did not come to the gateway");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.gateway_watch.sent(expired), "with the gateway dead a lease went on after its end");
  if (const Status again = ground.revive(); !again) return not_possible(again.error());
  return trial.end("the gateway was killed, and the lease's time ran out in the kernel: the running conversation stopped");
}

}  // namespace drpf::cli::selftest
