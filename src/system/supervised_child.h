// A copy of this process that does one kind of work for it by messages, and is replaced when it dies or is silent: for work that this
// process has given up the right to do. A supervisor of a few lines stands between; when that is killed too, nothing replaces anything.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "core/result.h"
#include "core/time.h"
#include "system/fd.h"
#include "system/process.h"

namespace drpf::system {

class SupervisedChild {
 public:
  static constexpr std::chrono::milliseconds respawn_delay{100};  // a child that cannot live does not take all of a processor

  // `prepare` runs once, in the supervisor: it gives up what the children do not need. `serve` is the child: it works for the other end of
  // the socket until that is closed. Call it before there are threads or secrets.
  static Result<SupervisedChild> start(const std::function<Status()>& prepare, const std::function<void(int socket)>& serve);

  // A stream to the child; not valid while there is none.
  int socket() const { return socket_.get(); }
  bool connected() const { return socket_.valid(); }

  // The child does not answer: it is killed and another one started. What it was asked may have been done or not.
  void replace();
  // The child has ended, as its stream says: its successor is to be taken up.
  void hang_up() { socket_ = Fd(); }
  // Takes up the child that came after the last one, if there is one within `limit`. False where there is none.
  bool take_up(Duration limit);
  // Readable when a new child is there, or nothing will be any more.
  int news() const { return control_.get(); }
  bool lost() const { return lost_; }                 // the supervisor is gone
  bool no_room() const { return no_room_; }           // a child is there, and this process has no descriptor left to speak to it by
  std::size_t taken_up() const { return taken_up_; }  // children after the first

 private:
  SupervisedChild(Process supervisor, Fd control) : supervisor_(std::move(supervisor)), control_(std::move(control)) {}

  Process supervisor_;
  Fd control_;
  Fd socket_;
  Fd spare_;  // given up for the next child's socket, which comes when there may be no other descriptor left
  bool lost_ = false;
  bool no_room_ = false;
  std::size_t taken_up_ = 0;
};

}  // namespace drpf::system
