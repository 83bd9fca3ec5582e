#include "client/connect/confinement.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "client/connect/name_servers.h"
#include "system/privileges.h"
#include "system/seccomp.h"

namespace drpf::client {
namespace {

using system::Capability;

// Root without this capability may write only where its user may.
bool is_folder_of_another(const std::string& file) {
  auto folder = std::filesystem::path(file).parent_path();
  if (folder.empty()) folder = ".";
  struct stat status{};
  return ::stat(folder.c_str(), &status) == 0 && status.st_uid != ::geteuid();
}

}  // namespace

Status confine(const ConnectOptions& options) {
  (void)in_system_network();
  system::CapabilitySet kept{Capability::net_admin};
  for (const auto& file : {options.ports_file, options.status_file})
    if (file && is_folder_of_another(*file)) kept.add(Capability::dac_override);
  (void)system::hide_memory();
  if (auto given_up = system::give_up_privileges(kept, std::nullopt); !given_up) return given_up;
  return system::restrict_syscalls(system::SyscallPolicy::programs);
}

}  // namespace drpf::client
