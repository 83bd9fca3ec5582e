// What the person or the script in front of `drpf connect` sees: facts on standard output, as text or as one JSON object per line; notes on
// standard error. Formats only.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "client/ports/published_ports.h"
#include "core/result.h"
#include "core/time.h"
#include "system/log.h"

namespace drpf::client {

struct Started {
  std::string interface;
  std::vector<std::string> addresses;
  std::string endpoint;
  std::string mode;  // "full tunnel, kill switch on", "inbound only", ...
};

class Screen {
 public:
  // Notes are warnings: below `level` they are left out. Facts are always told.
  explicit Screen(bool json, system::LogLevel level = system::LogLevel::info, std::FILE* out = stdout, std::FILE* notes = stderr);

  void started(const Started& what, WallTime now);
  void connected(const std::string& endpoint, WallTime now);
  void disconnected(const std::string& reason, WallTime now);
  // The first report shows all ports; later ones what changed.
  void ports(const Report& report, WallTime now);
  void ready(std::size_t count, WallTime now);
  // `program` has been told its listening port.
  void informed(std::string_view program, Port port, WallTime now);
  // `what` ("opened", "closed") became of the public port of a followed program; `sentence` says it to people.
  void followed(std::string_view what, std::string_view program, Port local_port, Port public_port, std::string_view sentence,
                WallTime now);
  // A public port leads, or does not lead any more, to a machine of the network that is shared.
  void shared(bool opened, Protocol protocol, const Endpoint& outside, const Endpoint& machine, WallTime now);
  // Whether the machine is kept from speaking past this tunnel; the sentence says it to people.
  void status(std::string_view interface, bool closed, std::string_view sentence);
  void stopped(WallTime now);
  void note(std::string_view text);
  // "drpf connect: message. cure"
  void error(const Error& error);

 private:
  void line(WallTime now, std::string_view text);
  struct Output {
    std::FILE* file;
    bool is_journal;
  };
  static void write(const Output& to, system::LogLevel level, std::string_view text);
  void fact(std::string_view text) { write(out_, system::LogLevel::info, text); }

  bool json_;
  system::LogLevel level_;
  Output out_;
  Output notes_;
  bool seen_report_ = false;
  std::vector<PublishedPort> shown_;
};

}  // namespace drpf::client
