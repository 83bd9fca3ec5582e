// A netlink socket: sends requests, waits for the kernel's answers. Blocking with a time limit; one user at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "system/fd.h"
#include "system/netlink_message.h"

namespace drpf::system {

// True for an error that the kernel answered with this errno.
bool is_errno(const Error& error, int number);
// "could not <attempt>: No such file or directory (ENOENT)"; the code is the errno's name.
Error errno_failure(int number, std::string_view attempt, std::string_view explanation = {});

class NetlinkSocket {
 public:
  using Visitor = std::function<void(const NetlinkMessage&)>;

  static constexpr std::size_t send_buffer_bytes = std::size_t{64} << 20;  // an nft batch is one datagram
  static constexpr std::size_t receive_buffer_bytes = std::size_t{8} << 20;
  static constexpr int answer_timeout_s = 10;

  static Result<NetlinkSocket> open(int protocol);

  std::uint32_t next_sequence() { return ++sequence_; }
  // The largest datagram that the kernel takes from this socket.
  std::size_t send_limit_bytes() const { return send_limit_bytes_; }

  // One message with NLM_F_ACK and a sequence of next_sequence(); replies before the ack go to `visit`. `attempt` is for the error text.
  Status request(NetlinkWriter& message, std::string_view attempt, const Visitor& visit = {});

  // One message with NLM_F_DUMP; every reply goes to `visit`. False when the kernel says that the table changed while it was read: what
  // was visited is then not one state, and the caller asks again.
  Result<bool> dump(NetlinkWriter& message, std::string_view attempt, const Visitor& visit);

  // An nfnetlink batch whose last data message has NLM_F_ACK and the sequence `last`. The kernel works on it before sendmsg returns, so
  // every answer is there already. All or nothing: the first error is returned and nothing was changed. Echoes go to `visit`.
  Status transact(NetlinkWriter& batch, std::uint32_t last, std::string_view attempt, const Visitor& visit = {});

 private:
  Status send(ByteView bytes, std::string_view attempt);
  // One datagram, 0 bytes when there is none now and `wait` is false.
  Result<ByteView> receive(bool wait, std::string_view attempt);
  void discard_pending();

  Fd fd_;
  std::uint32_t sequence_ = 0;
  std::uint32_t port_id_ = 0;
  std::size_t send_limit_bytes_ = 0;
  Bytes buffer_;
};

}  // namespace drpf::system
