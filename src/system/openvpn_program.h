// The program openvpn as a child of a process that may start no programs: put aside before, it runs the daemon, and starts it again when it
// is told to. Knows nothing of what the daemon is told over its management socket.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "system/fd.h"
#include "system/privileges.h"
#include "system/supervised_child.h"

namespace drpf::system {

// "2.6.14" of what `openvpn --version` prints; nothing where that is not OpenVPN's.
std::optional<std::string> openvpn_version(std::string_view printed);
// Whether this version can be driven as it is driven here: 2.6 or newer.
bool is_openvpn_new_enough(std::string_view version);

class OpenVpnProgram {
 public:
  static constexpr const char* management_name = "management";

  struct Options {
    std::string folder;               // its own: made here, for its socket and the last words of a daemon that ended
    std::optional<User> user;         // that it runs as; none: as this process
    std::function<Status()> prepare;  // in the child, after it has become that user: gives up what it does not need
    bool binds_low_port = false;
  };
  // Before there are threads or secrets, and while this process may start programs.
  static Result<OpenVpnProgram> put_aside(const Options& options);

  uid_t user() const { return user_ ? user_->uid : ::geteuid(); }
  const std::string& version() const { return version_; }
  int management() const { return management_.get(); }  // listens for the daemon, and for nobody else
  bool is_daemon(int connection) const;                 // that was accepted there

  // A daemon with this configuration in the place of the one that runs. False: there is nobody to start it, now.
  bool start(const std::string& configuration);
  // Readable: the daemon has ended (last_words), or there is another child.
  int words() const { return child_.socket(); }
  int news() const { return child_.news(); }
  // What the daemon that has ended said last; nothing while none has.
  std::optional<std::string> take_words();
  // After news: true when daemons can be started (again).
  bool take_up() { return child_.take_up({}); }
  bool lost() const { return child_.lost(); }

 private:
  OpenVpnProgram(SupervisedChild child, Fd management, std::optional<User> user, std::string version)
      : child_(std::move(child)), management_(std::move(management)), user_(std::move(user)), version_(std::move(version)) {}

  SupervisedChild child_;
  Fd management_;
  std::optional<User> user_;
  std::string version_;
};

}  // namespace drpf::system
