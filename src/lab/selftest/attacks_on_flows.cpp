// Connections that outlive their lease: what the old holder must no longer receive or send, and the new one must not receive.
#include <algorithm>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "lab/selftest/attacks.h"
#include "lab/selftest/limits.h"
#include "lab/selftest/packets.h"

namespace drpf::lab::selftest {
namespace {

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

// The kernel's elements of one lease with a second to live in place of an hour, as if that hour had passed. The gateway is stopped, so that
// nobody renews them.
constexpr int seconds_left = 1;

using Elements = std::map<std::string, boost::json::array>;  // by map or set

Result<Elements> listed_elements(const Ground& ground) {
  const auto listed = ground.gateway_machine.run({"nft", "-j", "list", "table", "inet", "drpf"});
  if (!listed) return fail(listed.error());
  boost::system::error_code error;
  const auto parsed = boost::json::parse(*listed, error);
  if (error || !parsed.is_object()) return fail(failure("nft", "the table could not be read as JSON"));
  Elements elements;
  for (const auto& item : parsed.as_object().at("nftables").as_array()) {
    const auto& object = item.as_object();
    const auto* set = object.if_contains("set");
    if (set == nullptr) set = object.if_contains("map");
    if (set != nullptr && set->as_object().contains("elem"))
      elements[std::string(set->as_object().at("name").as_string())] = set->as_object().at("elem").as_array();
  }
  return elements;
}

// {"elem": {"val", "timeout", "expires"}} of a set's element; of a map's, which is a pair of that and a value.
boost::json::object* timed_key(boost::json::value& element) {
  boost::json::value& key = element.is_array() ? element.as_array().at(0) : element;
  if (!key.is_object() || !key.as_object().contains("elem")) return nullptr;
  return &key.as_object().at("elem").as_object();
}

bool has_port(const boost::json::object& key, Port port) {
  const auto& value = key.at("val");
  if (!value.is_object() || !value.as_object().contains("concat")) return false;
  const auto& parts = value.as_object().at("concat").as_array();
  return std::any_of(parts.begin(), parts.end(),
                     [&](const boost::json::value& part) { return part.is_int64() && part.as_int64() == port.value(); });
}

Status shorten_life(const Ground& ground, Port port) {
  auto elements = listed_elements(ground);
  if (!elements) return fail(elements.error());
  std::vector<boost::json::value> generations;
  boost::json::array commands;
  const auto replace = [&](const std::string& name, boost::json::value element) {
    boost::json::object* key = timed_key(element);
    boost::json::value gone = key->at("val");
    if (element.is_array()) gone = boost::json::array{gone, element.as_array().at(1)};
    (*key)["timeout"] = seconds_left;
    (*key)["expires"] = seconds_left;
    for (const auto& [verb, which] : {std::pair<const char*, boost::json::value>{"delete", gone}, {"add", element}}) {
      const boost::json::object body{{"family", "inet"}, {"table", "drpf"}, {"name", name}, {"elem", boost::json::array{which}}};
      commands.push_back(boost::json::object{{verb, boost::json::object{{"element", body}}}});
    }
  };
  for (auto& [name, list] : *elements)
    for (auto& element : list) {
      const auto* key = timed_key(element);
      if (key == nullptr || !element.is_array() || !has_port(*key, port)) continue;
      if (name.starts_with("gen")) generations.push_back(element.as_array().at(1));
      replace(name, element);
    }
  for (auto& element : (*elements)["live"]) {
    const auto* key = timed_key(element);
    if (key != nullptr && std::find(generations.begin(), generations.end(), key->at("val")) != generations.end()) replace("live", element);
  }
  if (generations.empty()) return fail(failure("nft", fmt::format("the kernel's elements of port {} were not found", to_string(port))));
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
  if (const Status shortened = shorten_life(ground, *port); !shortened) return not_possible(shortened.error());
  std::this_thread::sleep_for(std::chrono::seconds(seconds_left) + limits::silence);
  conversation->repeat(expired);
  trial.control(ground.gateway_watch.awaits(expired, limits::arrival), "the visitor's packet did not come to the gateway");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.gateway_watch.sent(expired), "with the gateway dead a lease went on after its end");
  if (const Status again = ground.revive(); !again) return not_possible(again.error());
  return trial.end("the gateway was killed, and the lease's time ran out in the kernel: the running conversation stopped");
}

}  // namespace drpf::lab::selftest
