// A UDP server socket on one network interface: datagrams come in batches, with the address that each was sent to, and answers leave from
// that address. Runs on the loop's thread; knows nothing of what the datagrams carry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"
#include "net/event_loop.h"

namespace drpf::net {

struct Datagram {
  Endpoint from;
  Address to;
  ByteView bytes;  // until the handler returns
};

class DatagramSocket {
 public:
  static constexpr std::size_t batch_max = 64;
  static constexpr std::size_t datagram_size_max = 1280;  // longer ones are cut
  static constexpr int buffer_bytes = 1 << 20;

  using Handler = std::function<void(std::span<const Datagram>)>;

  // Bound to every address of the family on `device` (SO_BINDTODEVICE), and to nothing else.
  static Result<std::unique_ptr<DatagramSocket>> open(EventLoop& loop, Family family, Port port, const std::string& device,
                                                      Handler handler);
  ~DatagramSocket();

  // Also takes what is sent to this group on the device; such a datagram's `to` is the group.
  Status join(const Address& group);
  // `from`: the address of ours that was asked. What the kernel does not take at once is lost, as any datagram may be.
  void send(const Endpoint& to, const Address& from, ByteView bytes);
  std::uint64_t sent() const;
  std::uint64_t received() const;

 private:
  struct Impl;
  explicit DatagramSocket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace drpf::net
