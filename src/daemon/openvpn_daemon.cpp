#include "daemon/openvpn_daemon.h"

#include <spdlog/logger.h>

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace drpf::daemon {

OpenVpnDaemon::OpenVpnDaemon(Parts parts) : parts_(std::move(parts)) {
  accepting_ = parts_.loop.watch_readable(parts_.program.management(), [this] { accept(); });
  news_ = parts_.loop.watch_readable(parts_.program.news(), [this] { look_after_child(); });
  polling_ = parts_.loop.every(poll_interval, [this] { poll(); });
  start();
}

void OpenVpnDaemon::restart() {
  stream_.reset();
  parts_.way_in.daemon_ended();
  start();
}

void OpenVpnDaemon::start() {
  restarting_.cancel();
  started_ = heard_ = parts_.clock.now();
  if (!parts_.program.start(parts_.way_in.server_configuration())) return start_later();
  words_ = parts_.loop.watch_readable(parts_.program.words(), [this] { hear(); });
}

void OpenVpnDaemon::start_later() {
  if (parts_.clock.now() - started_ >= steady_after) pause_ = restart_first;
  restarting_ = parts_.loop.after(pause_, [this] { start(); });
  pause_ = std::min(2 * pause_, restart_last);
}

void OpenVpnDaemon::look_after_child() {
  if (parts_.program.take_up()) return;  // the words of the former one have ended, which starts a daemon by the new one
  if (!parts_.program.lost()) return;
  news_.cancel();
  words_.cancel();
  restarting_.cancel();
  constexpr auto what =
      "the process that runs openvpn for the gateway was killed together with its supervisor: nobody comes in by OpenVPN until the gateway "
      "is restarted; leases stay";
  parts_.log->error("{}", what);
  parts_.on_trouble(what);
}

void OpenVpnDaemon::hear() {
  const auto words = parts_.program.take_words();
  if (!words) return;
  words_.cancel();
  ended(*words);
}

void OpenVpnDaemon::ended(const std::string& why) {
  const auto& fatal = parts_.way_in.last_fatal();
  const auto reason = fatal.empty() ? why : fatal;
  stream_.reset();
  parts_.way_in.daemon_ended();
  start_later();
  parts_.log->error("OpenVPN's daemon has ended, and is started again: {}", reason);
  // Once is an accident; what comes again is the operator's.
  if (pause_ > 16 * restart_first) {
    told_trouble_ = true;
    parts_.on_trouble("OpenVPN's daemon ends again and again, and nobody comes in by it: " + reason +
                      (reason.find("ddress already in use") == std::string::npos
                           ? std::string()
                           : "; another program has its port: end that (ss -lntup shows it), or choose another: [openvpn] port"));
  }
}

void OpenVpnDaemon::accept() {
  system::Fd connection(::accept4(parts_.program.management(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.valid()) return;
  if (!parts_.program.is_daemon(connection.get())) return;
  stream_ = std::make_unique<net::ByteStream>(parts_.loop, std::move(connection));
  unsent_.clear();
  writing_ = false;
  heard_ = parts_.clock.now();
  parts_.way_in.daemon_began([this](const std::string& command) { send(command); });
  read();
}

void OpenVpnDaemon::read() {
  stream_->read_some(net::ByteStream::no_deadline, [this](int error, std::string_view bytes) {
    if (error != 0 || bytes.empty()) return stream_.reset();  // its last words tell the rest
    heard_ = parts_.clock.now();
    const bool understood = parts_.way_in.received(bytes);
    if (!understood) {
      parts_.log->error("OpenVPN's daemon does not speak as it should, and is started again");
      return restart();
    }
    read();
  });
}

void OpenVpnDaemon::send(const std::string& command) {
  if (!stream_) return;
  if (unsent_.size() > commands_bytes_max) return;  // it hangs, which poll() sees
  unsent_ += command;
  write();
}

void OpenVpnDaemon::write() {
  if (writing_ || unsent_.empty() || !stream_) return;
  writing_ = true;
  stream_->write_all(std::exchange(unsent_, {}), net::ByteStream::no_deadline, [this](int error) {
    writing_ = false;
    if (error == 0) write();
  });
}

void OpenVpnDaemon::poll() {
  parts_.way_in.poll();
  if (told_trouble_ && stream_ && parts_.clock.now() - started_ > well_after) {
    told_trouble_ = false;
    parts_.on_trouble(std::nullopt);
  }
  if (stream_ && parts_.clock.now() - heard_ > answer_max) {
    parts_.log->error("OpenVPN's daemon does not answer, and is started again");
    restart();
  }
}

}  // namespace drpf::daemon
