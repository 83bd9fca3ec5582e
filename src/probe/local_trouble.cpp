#include "probe/local_trouble.h"

#include <cerrno>

#include <fmt/format.h>

namespace drpf::probe {

using scan::Cause;

std::string silent_neighbour_note(const Address& neighbour, std::string_view interface) {
  return fmt::format("{} does not answer on {}", to_string(neighbour), interface);
}

std::string note_of_local_error(int error) {
  if (error == EPERM) return "a rule of this machine has refused the probe";
  if (error == EMSGSIZE) return "the probe is larger than the way out of this machine takes (MTU)";
  return {};
}

scan::Verdict told_by_this_machine(scan::Verdict verdict, bool on_link, std::string silent_neighbour) {
  verdict.sender.reset();
  verdict.ttl.reset();
  const bool silent = verdict.cause == Cause::host_unreach || verdict.cause == Cause::addr_unreach;
  if (silent && on_link) {
    verdict.state = scan::State::filtered;
    verdict.cause = Cause::host_unreach;
    verdict.detail = 0;
  } else {
    verdict.state = scan::State::undecided;
    verdict.cause = Cause::local_error;
    verdict.detail = silent ? EHOSTUNREACH : EPERM;
  }
  verdict.note = silent ? std::move(silent_neighbour) : note_of_local_error(EPERM);
  return verdict;
}

}  // namespace drpf::probe
