#include "system/tun.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cassert>
#include <cerrno>
#include <cstring>

namespace drpf::system {
namespace {

constexpr unsigned offload_checksum = 0x01;  // TUN_F_CSUM
constexpr unsigned offload_tso4 = 0x02;
constexpr unsigned offload_tso6 = 0x04;
constexpr unsigned offload_uso4 = 0x20;  // not in the headers of Linux 6.1
constexpr unsigned offload_uso6 = 0x40;
constexpr int offload_header_size = 10;

Error tun_failure(const char* what, const std::string& name, std::string cure = {}) {
  return failure("tun_failed", std::string(what) + " of the TUN device '" + name + "' failed: " + std::strerror(errno), std::move(cure));
}

std::string open_cure() {
  if (errno == ENOENT || errno == ENODEV) return "load the kernel module 'tun', or pass /dev/net/tun into this container";
  if (errno == EPERM || errno == EACCES) return "run as root or with CAP_NET_ADMIN, and let this user open /dev/net/tun";
  if (errno == EBUSY) return "another program holds this device; stop it or choose another name";
  return {};
}

Status set_mtu_and_queue(const std::string& name, std::uint16_t mtu) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(tun_failure("opening a socket for the settings", name));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_mtu = mtu;
  if (::ioctl(socket.get(), SIOCSIFMTU, &request) != 0) return fail(tun_failure("setting the MTU", name));
  request.ifr_qlen = Tun::transmit_queue_length;
  ::ioctl(socket.get(), SIOCSIFTXQLEN, &request);  // only better, not needed
  return {};
}

}  // namespace

Result<Tun> Tun::open(const TunOptions& options) {
  if (options.name.empty() || options.name.size() >= IFNAMSIZ)
    return fail(invalid("interface_name_invalid", "'" + options.name + "' cannot be the name of a network interface",
                        "use 1 to " + std::to_string(IFNAMSIZ - 1) + " characters"));
  Fd fd(::open(tun_device, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid())
    return fail((errno == EPERM || errno == EACCES ? not_permitted : unavailable)(
        "tun_unavailable", std::string("opening /dev/net/tun failed: ") + std::strerror(errno), open_cure()));

  if (options.index != 0) (void)::ioctl(fd.get(), TUNSETIFINDEX, &options.index);
  ifreq request{};
  options.name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (options.offload ? IFF_VNET_HDR : 0));
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    if (errno != EBUSY || options.index == 0) return fail(tun_failure("creating", options.name, open_cure()));
    auto anywhere = options;
    anywhere.index = 0;
    return open(anywhere);
  }
  Tun tun(std::move(fd), request.ifr_name, options.offload);

  // The mask belongs to the device and may be left over from an earlier owner: it is written in every case.
  const unsigned mask = options.offload ? offload_checksum | offload_tso4 | offload_tso6 : 0;
  if (options.offload) {
    int size = offload_header_size;
    if (::ioctl(tun.fd(), TUNSETVNETHDRSZ, &size) != 0) return fail(tun_failure("setting the offload header size", tun.name()));
    tun.uso_ = options.uso && ::ioctl(tun.fd(), TUNSETOFFLOAD, mask | offload_uso4 | offload_uso6) == 0;
  }
  if (!tun.uso_) (void)::ioctl(tun.fd(), TUNSETOFFLOAD, mask);  // where it fails packets come one by one, finished
  if (const auto set = set_mtu_and_queue(tun.name(), options.mtu); !set) return fail(set.error());
  return tun;
}

Status make_persistent_tun(const TunOptions& options, uid_t user) {
  Fd fd(::open(tun_device, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid())
    return fail((errno == EPERM || errno == EACCES ? not_permitted : unavailable)(
        "tun_unavailable", std::string("opening /dev/net/tun failed: ") + std::strerror(errno), open_cure()));
  if (options.index != 0) (void)::ioctl(fd.get(), TUNSETIFINDEX, &options.index);
  ifreq request{};
  options.name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return fail(tun_failure("creating", options.name, open_cure()));
  if (::ioctl(fd.get(), TUNSETOWNER, static_cast<unsigned long>(user)) != 0) return fail(tun_failure("giving away", options.name));
  if (::ioctl(fd.get(), TUNSETPERSIST, 1UL) != 0) return fail(tun_failure("keeping", options.name));
  (void)::ioctl(fd.get(), TUNSETOFFLOAD, 0UL);
  return set_mtu_and_queue(options.name, options.mtu);
}

Status Tun::become(Tun other) {
  assert(other.offload_header_ == offload_header_);
  if (::dup3(other.fd(), fd(), O_CLOEXEC) < 0) return fail(tun_failure("replacing the descriptor", name_));
  return {};
}

}  // namespace drpf::system
