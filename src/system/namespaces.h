// Linux namespaces: made, held by descriptors, entered; the id maps and mounts that go with them. Gives nothing a name on disk.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/result.h"
#include "system/fd.h"
#include "system/sysctl.h"  // whose values belong to the network namespace that this thread is in

namespace drpf::system {

// A network namespace with a mount namespace of its own. Lives as long as its descriptors, or a process inside.
struct NamespacePair {
  Fd net;
  Fd mount;
};

// As `unshare(2)`, with CLONE_NEW... flags; the error names them.
Status unshare(int clone_flags);
// Makes a pair from the present namespaces of this process, runs `prepare` inside and comes back. The process must have one thread.
Result<NamespacePair> make_namespaces(Status (*prepare)());
Result<NamespacePair> current_namespaces();
Status enter(const NamespacePair& namespaces);
// Only the network: for a socket that is to live there.
Status enter_network(const NamespacePair& namespaces);

// In a new user namespace: this process's ids become `inside_uid` and `inside_gid`, the only ones that exist there.
Status map_own_ids(uid_t outside_uid, gid_t outside_gid, uid_t inside_uid, gid_t inside_gid);

// Mounts stop propagating to where this mount namespace was copied from.
Status make_mounts_private();
Status mount_tmpfs(const std::string& folder, const std::string& options);
// Shows a folder under a second path; both in the present mount namespace.
Status mount_bind(const Fd& folder, const std::string& at);
Status mount_proc();

}  // namespace drpf::system
