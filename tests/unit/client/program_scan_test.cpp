#include "client/follow/program_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <array>

#include "system/fd.h"
#include "system/processes.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct Listening {
  explicit Listening(int type = SOCK_STREAM, const char* address = "127.0.0.1") : socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    const auto at = system::to_socket_address(Endpoint{*parse_address(address), Port{}});
    EXPECT_EQ(::bind(socket.get(), at.get(), at.size), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(socket.get(), 1), 0);
    }
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    endpoint = *system::from_socket_address(reinterpret_cast<const sockaddr*>(&own), size);
  }
  system::Fd socket;
  Endpoint endpoint;
};

// This process calls itself something for the time of the test.
class ProgramScanTest : public testing::Test {
 protected:
  ProgramScanTest() {
    ::prctl(PR_GET_NAME, name_.data());
    ::prctl(PR_SET_NAME, "drpf-scanned");
  }
  ~ProgramScanTest() override { ::prctl(PR_SET_NAME, name_.data()); }
  std::array<char, 16> name_{};
  Time now{1000s};
};

TEST_F(ProgramScanTest, FindsWhatANamedProgramListensOn) {
  const Listening tcp;
  const Listening udp(SOCK_DGRAM, "127.0.0.2");
  auto scan = ProgramScan::open({"drpf-scanned", "another"});
  ASSERT_TRUE(scan) << scan.error().message;
  EXPECT_THAT(scan->look(now).value(),
              ElementsAre(FollowedSocket{"drpf-scanned", Protocol::tcp, tcp.endpoint.address, tcp.endpoint.port, 0},
                          FollowedSocket{"drpf-scanned", Protocol::udp, udp.endpoint.address, udp.endpoint.port, 0}));
}

TEST_F(ProgramScanTest, FindsAProgramByItsFileToo) {
  const Listening tcp;
  const auto program = system::process_program(::getpid());
  auto scan = ProgramScan::open({program});
  ASSERT_TRUE(scan);
  EXPECT_THAT(scan->look(now).value(), Contains(FollowedSocket{program, Protocol::tcp, tcp.endpoint.address, tcp.endpoint.port, 0}));
}

TEST_F(ProgramScanTest, OthersAreNotItsAffair) {
  const Listening tcp;
  auto scan = ProgramScan::open({"drpf-scann"});
  ASSERT_TRUE(scan);
  EXPECT_THAT(scan->look(now).value(), IsEmpty());
}

TEST_F(ProgramScanTest, SeesWhatComesAndGoes) {
  auto scan = ProgramScan::open({"drpf-scanned"});
  ASSERT_TRUE(scan);
  EXPECT_THAT(scan->look(now).value(), IsEmpty());
  {
    const Listening tcp;
    EXPECT_THAT(scan->look(now).value(), SizeIs(1));
  }
  EXPECT_THAT(scan->look(now).value(), IsEmpty());
}

TEST_F(ProgramScanTest, ASocketThatIsHandedOnIsFoundInTheEnd) {
  const Listening tcp;
  ::prctl(PR_SET_NAME, "drpf-former");
  auto scan = ProgramScan::open({"drpf-scanned"});
  ASSERT_TRUE(scan);
  EXPECT_THAT(scan->look(now).value(), IsEmpty());
  ::prctl(PR_SET_NAME, "drpf-scanned");  // no socket has come or gone
  EXPECT_THAT(scan->look(now + full_scan_period).value(), SizeIs(1));
}

}  // namespace
}  // namespace drpf::client
