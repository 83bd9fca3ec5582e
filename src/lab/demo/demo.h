// `drpf demo`: the main job shown on one machine, on real parts, in namespaces that vanish with it. Changes nothing of the host.
#pragma once

namespace drpf::lab::demo {

struct DemoOptions {
  bool once = false;  // leave after the show
  bool json = false;  // print {"held": bool, "facts": [{"name", "held", "detail"}...]} in place of the text
  bool logs = false;  // where a fact did not hold: copy the programs' logs to standard error before they vanish
};

// Exit code: 0 every fact was observed, 1 not every, 69 this machine lacks something (said on standard error), 130 interrupted.
int run_demo(const DemoOptions& options);

}  // namespace drpf::lab::demo
