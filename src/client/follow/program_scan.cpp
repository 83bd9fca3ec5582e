#include "client/follow/program_scan.h"

#include <algorithm>
#include <map>
#include <optional>

#include "system/processes.h"

namespace drpf::client {

Result<ProgramScan> ProgramScan::open(std::vector<std::string> programs) {
  auto sockets = system::SocketDiagnosis::open();
  if (!sockets) return fail(sockets.error());
  return ProgramScan(std::move(programs), std::move(*sockets));
}

Result<std::vector<FollowedSocket>> ProgramScan::look(Time now) {
  auto open = sockets_.listening();
  if (!open) return fail(open.error());
  if (*open == open_ && scanned_ && now - *scanned_ < full_scan_period) return found_;
  open_ = std::move(*open);
  scanned_ = now;
  std::multimap<std::uint64_t, const system::OwnedSocket*> by_inode;
  for (const auto& socket : open_) by_inode.emplace(socket.inode, &socket);

  found_.clear();
  for (const auto process : system::processes()) {
    auto named = std::find(programs_.begin(), programs_.end(), system::process_name(process));
    if (named == programs_.end()) named = std::find(programs_.begin(), programs_.end(), system::process_program(process));
    if (named == programs_.end()) continue;
    const auto inodes = system::sockets_of(process);
    if (!inodes) continue;
    for (const auto inode : *inodes) {
      const auto [first, last] = by_inode.equal_range(inode);
      for (auto one = first; one != last; ++one) {
        const auto& [listening, interface, number] = *one->second;
        found_.push_back({*named, listening.protocol, listening.local.address, listening.local.port, interface});
      }
    }
  }
  std::sort(found_.begin(), found_.end());
  found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
  if (found_.size() > followed_sockets_max) found_.resize(followed_sockets_max);
  return found_;
}

}  // namespace drpf::client
