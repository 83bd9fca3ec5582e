// What came of each attack, and how it is told: a line of text while it happens, one JSON value at the end. Tries nothing itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace drpf::lab::selftest {

// `untried`: the honest packets of the same trial did not get through, so that nothing follows from the silence. Counts as failed.
enum class Verdict : std::uint8_t { closed, open, untried };
std::string_view to_string(Verdict verdict);

struct Finding {
  std::string name;   // short and stable, for scripts and --only: "port-shadow-udp"
  std::string title;  // "Port Shadow, UDP"
  Verdict verdict = Verdict::untried;
  std::string detail;  // what was tried and seen, in words
};

// Collects what one attack observed. An open hole outweighs a control that failed.
class Trial {
 public:
  // The honest path, beside the attack: it must work.
  void control(bool worked, const std::string& what);
  // What must not happen.
  void breach(bool happened, const std::string& what);
  // `told`: what a reader is told where everything held.
  Finding end(const std::string& told) const;

 private:
  std::vector<std::string> breaches_;
  std::vector<std::string> failed_controls_;
  bool controlled_ = false;
};

// An attack that could not be tried.
Finding not_possible(const Error& error);

// One attack on both families: the worse verdict, both details.
Finding merged(Finding v4, const Finding& v6);

bool all_closed(const std::vector<Finding>& findings);
std::string to_json(const std::vector<Finding>& findings);
std::string to_text(const Finding& finding, bool colour);

}  // namespace drpf::lab::selftest
