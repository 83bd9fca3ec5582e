#include "system/processes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/fd.h"
#include "system/socket_diagnosis.h"

namespace drpf::system {
namespace {

using testing::Contains;

TEST(Processes, KnowThisOne) {
  EXPECT_THAT(processes(), Contains(::getpid()));
  EXPECT_EQ(process_program(::getpid()), "test_system");
  EXPECT_EQ(process_name(::getpid()), "test_system");
  EXPECT_EQ(process_program(-1), "");
  EXPECT_EQ(process_name(-1), "");
}

TEST(Processes, ALinkToASocketNamesItsInode) {
  EXPECT_EQ(socket_inode("socket:[4711]"), 4711U);
  for (const auto* link : {"", "pipe:[4711]", "socket:[]", "socket:[47", "socket:[4x]", "/socket:[1]"})
    EXPECT_FALSE(socket_inode(link)) << link;
}

TEST(SocketDiagnosis, FindsAListenerAndItsOwner) {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  ASSERT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  struct stat status{};
  ASSERT_EQ(::fstat(socket.get(), &status), 0);

  auto diagnosis = SocketDiagnosis::open();
  ASSERT_TRUE(diagnosis);
  const auto listening = diagnosis->listening();
  ASSERT_TRUE(listening) << listening.error().message;
  OwnedSocket own;
  own.listening = {Protocol::tcp, {Address::v4(INADDR_LOOPBACK), Port{::ntohs(address.sin_port)}}};
  own.inode = status.st_ino;
  EXPECT_THAT(*listening, Contains(own));
  const auto sockets = sockets_of(::getpid());
  ASSERT_TRUE(sockets);
  EXPECT_THAT(*sockets, Contains(own.inode));
}

TEST(SocketDiagnosis, PassesOverWhatIsMalformed) {
  EXPECT_FALSE(read_diagnosis({}, Protocol::tcp));
  EXPECT_FALSE(read_diagnosis(Bytes(71, 2), Protocol::tcp));
  EXPECT_FALSE(read_diagnosis(Bytes(200, 0), Protocol::tcp));
  EXPECT_FALSE(read_diagnosis(Bytes(200, 99), Protocol::udp));
}

}  // namespace
}  // namespace drpf::system
