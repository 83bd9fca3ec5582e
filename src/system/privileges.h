// What this process may still do to the machine: Linux capabilities, user, core dumps. Everything here is given up for good.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "core/result.h"

namespace drpf::system {

// linux/capability.h
enum class Capability : std::uint8_t {
  dac_override = 1,
  dac_read_search = 2,
  net_bind_service = 10,
  net_admin = 12,
  net_raw = 13,
  sys_ptrace = 19
};

class CapabilitySet {
 public:
  CapabilitySet() = default;
  CapabilitySet(std::initializer_list<Capability> capabilities) {
    for (const auto capability : capabilities) add(capability);
  }
  void add(Capability capability) { bits_ |= std::uint64_t{1} << static_cast<unsigned>(capability); }
  bool contains(unsigned number) const { return (bits_ >> number & 1) != 0; }
  std::uint64_t bits() const { return bits_; }

 private:
  std::uint64_t bits_ = 0;
};

// Whether this thread may use it now.
bool has_capability(Capability capability);

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Nothing for a user that does not exist.
std::optional<User> find_user(const std::string& name);

// Whether the mode of a file lets this user, of no other group than its own, read and write it. What is not there keeps nobody out.
bool may_use(const User& user, const std::string& path);

// From here on this process and its children have at most `keep`, out of every set including the bounding one; a program that is run gets
// none of it, root's programs included, unless lend_to_program() says so. No program gives rights back (no_new_privs). With `user` it goes
// on as that one. Only while there is one thread: capabilities belong to threads.
Status give_up_privileges(CapabilitySet keep, const std::optional<User>& user);

// In a child just before exec: the program is given these, which must be held (ambient capabilities, Linux 4.3).
Status lend_to_program(CapabilitySet lent);

// No core dump of this process holds what is in its memory, nobody without CAP_SYS_PTRACE looks into it, and where `true` is returned none
// of it is written to swap (the limit on locked memory allowed it).
bool hide_memory();

// As many descriptors as `wanted`, where the limits allow it; returns how many there are.
std::uint64_t allow_descriptors(std::uint64_t wanted);

}  // namespace drpf::system
