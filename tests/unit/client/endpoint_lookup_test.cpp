#include "client/connect/endpoint_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "core/bytes.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::SizeIs;

// A name server on a loopback address. It knows addresses of one family each, and says "no such name" where it knows none.
class NameServer {
 public:
  NameServer(net::EventLoop& loop, const char* address, Port port) {
    const auto at = system::to_socket_address(Endpoint{*parse_address(address), port});
    EXPECT_EQ(::bind(socket_.get(), at.get(), at.size), 0);
    watch_ = loop.watch_readable(socket_.get(), [this] { answer(); });
  }
  Port port() const {
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    return system::from_socket_address(reinterpret_cast<const sockaddr*>(&own), size)->port;
  }

  std::vector<Address> v4;
  std::vector<Address> v6;
  bool confused = false;  // answers what was not asked
  int asked = 0;

 private:
  void answer() {
    std::array<std::uint8_t, 512> query{};
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto length = ::recvfrom(socket_.get(), query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 16) return;
    ++asked;
    Bytes reply(query.begin(), query.begin() + length);
    const bool is_v6 = reply[reply.size() - 3] == 28;
    const auto& known = is_v6 ? v6 : v4;
    reply[2] |= 0x80;
    if (known.empty()) reply[3] |= 3;
    reply[7] = static_cast<std::uint8_t>(known.size());
    if (confused) reply[0] ^= 0xff;
    for (const auto& address : known) {
      const auto bytes = address.bytes();
      for (const int byte : {0xc0, 12, 0, is_v6 ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, static_cast<int>(bytes.size())})
        reply.push_back(static_cast<std::uint8_t>(byte));
      reply.insert(reply.end(), bytes.begin(), bytes.end());
    }
    ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
  }

  system::Fd socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  net::Watch watch_;
};

class EndpointLookupTest : public testing::Test {
 protected:
  using Found = Result<std::vector<Endpoint>>;
  Found find(EndpointLookup& lookup, const char* host) {
    std::optional<Found> found;
    lookup.find({host, Port{51820}}, [&](Found answer) { found = std::move(answer); });
    EXPECT_FALSE(found) << "later";
    EXPECT_TRUE(loop.run_until([&] { return found.has_value(); }, 20s));
    return found.value_or(fail(failure("no_answer", "no answer")));
  }
  OutsideResolver outside() const {
    OutsideResolver out;
    out.servers = {*parse_address("127.0.0.1"), *parse_address("127.0.0.2")};
    out.port = first.port();
    return out;
  }

  net::EventLoop loop;
  NameServer first{loop, "127.0.0.1", Port{}};
  NameServer second{loop, "127.0.0.2", first.port()};
};

constexpr const char* name = "drpf-test.invalid";  // the system's resolver knows no such name

TEST_F(EndpointLookupTest, AnAddressIsItsOwnAnswer) {
  EndpointLookup lookup(loop, outside());
  EXPECT_THAT(find(lookup, "198.51.100.1").value(), ElementsAre(*parse_endpoint("198.51.100.1:51820")));
  EXPECT_THAT(find(lookup, "2001:db8::1").value(), ElementsAre(*parse_endpoint("[2001:db8::1]:51820")));
  EXPECT_EQ(first.asked, 0);
}

TEST_F(EndpointLookupTest, ANameServerPastTheTunnelIsAskedForBothFamilies) {
  first.v4 = {*parse_address("198.51.100.1"), *parse_address("198.51.100.2")};
  first.v6 = {*parse_address("2001:db8::1")};
  EndpointLookup lookup(loop, outside());
  EXPECT_THAT(find(lookup, name).value(), ElementsAre(*parse_endpoint("198.51.100.1:51820"), *parse_endpoint("198.51.100.2:51820"),
                                                      *parse_endpoint("[2001:db8::1]:51820")));
  EXPECT_EQ(first.asked, 2);
  EXPECT_EQ(second.asked, 0);
}

TEST_F(EndpointLookupTest, TheNextOneIsAskedWhereTheFirstDoesNotKnow) {
  second.v6 = {*parse_address("2001:db8::1")};
  EndpointLookup lookup(loop, outside());
  EXPECT_THAT(find(lookup, name).value(), ElementsAre(*parse_endpoint("[2001:db8::1]:51820")));
  EXPECT_EQ(first.asked, 2);
  EXPECT_EQ(second.asked, 2);
}

TEST_F(EndpointLookupTest, AnAnswerToAnotherQuestionIsNone) {
  first.confused = true;
  first.v4 = {*parse_address("192.0.2.66")};
  second.v4 = {*parse_address("198.51.100.1")};
  EndpointLookup lookup(loop, outside());
  EXPECT_THAT(find(lookup, name).value(), ElementsAre(*parse_endpoint("198.51.100.1:51820")));
}

TEST_F(EndpointLookupTest, TwoNamesAtOnceGetTheirOwnAnswers) {
  first.v4 = {*parse_address("198.51.100.1")};
  EndpointLookup lookup(loop, outside());
  std::vector<std::string> answers;
  lookup.find({name, Port{1}}, [&](const auto& found) { answers.push_back(to_string(found->front())); });
  lookup.find({"198.51.100.9", Port{2}}, [&](const auto& found) { answers.push_back(to_string(found->front())); });
  ASSERT_TRUE(loop.run_until([&] { return answers.size() == 2; }, 20s));
  EXPECT_THAT(answers, testing::UnorderedElementsAre("198.51.100.1:1", "198.51.100.9:2"));
}

TEST_F(EndpointLookupTest, WhoIsGoneIsNotAnswered) {
  bool answered = false;
  {
    EndpointLookup lookup(loop, outside());
    lookup.find({"198.51.100.1", Port{1}}, [&](const auto&) { answered = true; });
  }
  loop.run_for(100ms);
  EXPECT_FALSE(answered);
}

TEST_F(EndpointLookupTest, TheSystemsResolverIsAskedWhereThereIsNoOther) {
  EndpointLookup lookup(loop, {});
  const auto found = find(lookup, "localhost");
  ASSERT_TRUE(found) << found.error().message;
  for (const auto& endpoint : *found) {
    EXPECT_TRUE(endpoint.address.is_loopback());
    EXPECT_EQ(endpoint.port, Port{51820});
  }
}

TEST_F(EndpointLookupTest, WhereNobodyKnowsTheNameItSaysSo) {
  EndpointLookup lookup(loop, outside());
  const auto nothing = find(lookup, (std::string(64, 'a') + ".x").c_str());  // which DNS cannot carry
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, "name_not_found");
  EXPECT_NE(nothing.error().message.find("aaaa.x"), std::string::npos);
}

}  // namespace
}  // namespace drpf::client
