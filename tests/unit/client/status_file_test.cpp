#include "client/connect/status_file.h"

#include <gtest/gtest.h>

namespace drpf::client {
namespace {

TEST(StatusFile, SaysAllOfIt) {
  StatusFile file;
  file.interface = "home";
  file.state = ConnectionState::connected;
  file.account = "ann";
  file.device = "laptop";
  file.ports = {{*parse_address("198.51.100.1"), Protocol::tcp, Port{20000}, Port{110}},
                {*parse_address("198.51.100.1"), Protocol::udp, Port{20001}, Port{20001}}};
  EXPECT_EQ(status_file_text(file, WallTime(std::chrono::seconds(1'800'000'000))),
            R"({"interface":"home","state":"connected","time":"2027-01-15T08:00:00Z","account":"ann","device":"laptop",)"
            R"("public_address":"198.51.100.1","port":20000,"ports":[20000,20001],"leases":[)"
            R"({"public_address":"198.51.100.1","protocol":"tcp","public_port":20000,"local_port":110},)"
            R"({"public_address":"198.51.100.1","protocol":"udp","public_port":20001,"local_port":20001}]})"
            "\n");
}

TEST(StatusFile, WithoutPortsThereIsNone) {
  StatusFile file;
  file.interface = "home";
  file.state = ConnectionState::stopped;
  EXPECT_EQ(
      status_file_text(file, WallTime{}),
      R"({"interface":"home","state":"stopped","time":"1970-01-01T00:00:00Z","account":"","device":"","public_address":"","port":null,)"
      R"("ports":[],"leases":[]})"
      "\n");
}

TEST(SameNumbers, AreThoseThatAProgramCanTellOthers) {
  const auto address = *parse_address("198.51.100.1");
  const std::vector<PublishedPort> ports{{address, Protocol::tcp, Port{1}, Port{110}},
                                         {address, Protocol::tcp, Port{2}, Port{2}},
                                         {address, Protocol::udp, Port{3}, Port{3}},
                                         {*parse_address("2001:db8::1"), Protocol::tcp, Port{2}, Port{2}}};
  EXPECT_EQ(same_numbers(ports), std::vector<Port>{Port{2}});
}

}  // namespace
}  // namespace drpf::client
