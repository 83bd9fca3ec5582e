// What stands on the command line of `drpf scan`, as written.
#pragma once

#include <string>
#include <vector>

namespace drpf::survey {

struct Options {
  std::vector<std::string> targets;
  std::vector<std::string> targets_files;
  std::vector<std::string> exclude;
  std::vector<std::string> exclude_files;
  std::string ports;
  unsigned top = 0;  // 0: not given

  bool syn = false;
  bool connect = false;
  bool ack = false;
  bool window = false;
  bool fin = false;
  bool null = false;
  bool xmas = false;
  bool maimon = false;
  bool udp = false;
  bool ip_protocol = false;
  std::string idle;

  bool only_v4 = false;
  bool only_v6 = false;
  bool all_addresses = false;
  bool discovery = false;
  bool no_discovery = false;
  bool only_discovery = false;

  bool i_own_these = false;
  bool more_than_65536 = false;
  std::string max_rate;
  std::string start_rate;
  int retries = -1;  // -1: not given
  std::string interface;
  std::string source;
  bool udp_fast = false;
  bool through_own_rules = false;

  bool json = false;
  bool xml = false;
  bool grepable = false;
  bool csv = false;
  std::string format;
  std::vector<std::string> outputs;  // "xml:scan.xml"
  bool reason = false;
  bool verbose = false;
  bool open = false;
  bool banner = false;
  std::string progress = "auto";

  bool mine = false;    // own leases instead of targets
  std::string gateway;  // for those: asked through the tunnel; empty: over the socket
  std::string socket;
  std::string since;  // the file of the last time

  std::string resume;
  std::string resume_file;  // where an interrupted scan leaves what it knows
  bool no_resume = false;
};

}  // namespace drpf::survey
