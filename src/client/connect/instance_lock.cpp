#include "client/connect/instance_lock.h"

#include <fmt/format.h>

#include "system/file_lock.h"

namespace drpf::client {

std::string lock_path(const std::string& note_path) { return note_path + ".lock"; }

Result<system::Fd> lock_interface(std::string_view interface, const std::string& path) {
  auto file = system::open_lock_file(path);
  if (!file) return fail(file.error());
  const auto taken = system::take_lock(*file);
  if (!taken) return fail(taken.error());
  if (*taken) return file;
  const auto holder = system::lock_holder(*file);
  return fail(
      refusal("interface_in_use",
              fmt::format("the interface {} is in use by another drpf connect{}", interface, holder.empty() ? "" : " (" + holder + ")"),
              "Stop that one first, or give this one another name: --interface NAME."));
}

}  // namespace drpf::client
