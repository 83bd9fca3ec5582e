#include "client/connect/closed_state.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "client/connect/instance_lock.h"
#include "client/connect/kernel_steps.h"
#include "client/connect/route_plan.h"
#include "system/file_lock.h"
#include "system/links_and_routes.h"
#include "system/nft_table.h"
#include "system/whole_file.h"

namespace drpf::client {
namespace {

using Part = ClosedState::Part;
constexpr std::size_t word_size_max = 300;

// A way for other users to write into an administrator's terminal it is not.
std::string one_line(std::string_view text) {
  std::string out(text.substr(0, word_size_max));
  std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, ' ');
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

Status look_at_routing(ClosedState& state) {
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return fail(kernel.error());
  const auto at = rule_priorities(state.interface, Reach::everything);
  bool leads = false;
  bool ends = false;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto rules = kernel->rules(family);
    if (!rules) continue;  // a machine without this family
    for (const auto& rule : *rules) {
      if (!is_own_rule(state.interface, planned_rule(rule)) || rule.table != own_table(state.interface)) continue;
      leads = true;
      if (rule.priority == at.second) state.answers_only = false;
    }
    const auto routes = kernel->routes(family, own_table(state.interface));
    if (!routes) return fail(routes.error());
    ends = ends || std::any_of(routes->begin(), routes->end(), [](const auto& route) { return route.metric == last_resort_metric; });
  }
  state.routing = leads && ends ? Part::stands : Part::absent;
  return {};
}

void look_at_firewall(ClosedState& state) {
  auto table = system::NftTable::open(firewall_table_name(state.interface));
  const auto chains = table ? table->chains() : Result<std::vector<std::string>>(fail(table.error()));
  if (!chains) {
    state.firewall = Part::unknown;
    return;
  }
  const auto has = [&](std::string_view name) { return std::find(chains->begin(), chains->end(), name) != chains->end(); };
  if (has(kill_switch_chain)) state.answers_only = false;
  state.firewall = has(kill_switch_chain) || (has("answers") && has("leaving")) ? Part::stands : Part::absent;
}

}  // namespace

std::string word_path(const std::string& note_path) { return note_path + ".word"; }

void leave_word(const std::string& path, std::string_view text) { (void)system::replace_file(path, one_line(text) + "\n"); }
void forget_word(const std::string& path) { ::unlink(path.c_str()); }

Result<ClosedState> look_at_closed_state(const std::string& interface, const std::string& note_path) {
  ClosedState state;
  state.interface = interface;
  state.answers_only = true;  // until something for everything is found
  state.process = system::lock_holding_process(lock_path(note_path));
  if (auto looked = look_at_routing(state); !looked) return fail(looked.error());
  look_at_firewall(state);
  std::ifstream file(word_path(note_path));
  std::string line;
  std::getline(file, line);
  state.word = one_line(line);
  return state;
}

std::string closed_sentence(const ClosedState& state) {
  const auto& name = state.interface;
  const auto why = state.word.empty() ? "" : ", " + state.word;
  const auto runs = state.process && *state.process > 0 ? fmt::format("drpf connect runs (process {}{})", *state.process, why)
                                                        : fmt::format("drpf connect runs{}", why);
  if (!state.any()) {
    if (state.process) return fmt::format("{}: open. {}, and there is no kill switch.", name, runs);
    return fmt::format("{}: open. Nothing is here of drpf connect {}.", name, name);
  }
  const auto what = state.answers_only
                        ? std::string("Answers to visitors leave by the tunnel or not at all; this machine's own traffic is free")
                        : std::string("Nothing but the tunnel's own packets and private networks passes beside the tunnel");
  const auto head = fmt::format("{}: {}.", name, state.answers_only ? "inbound only" : state.whole() ? "closed" : "closed in part");
  std::string missing;
  if (!state.whole())
    missing = fmt::format(" ({} missing; {})", state.routing == Part::absent ? "the routes are" : "the firewall's rules are",
                          state.process ? "they are put back in a moment" : "the next start puts them back");
  if (state.process) return fmt::format("{} {}{}: {}.", head, what, missing, runs);
  return fmt::format("{} {}{}, for drpf connect does not run{}; only your word takes this away: drpf connect {} --clean-up.", head, what,
                     missing, why, name);
}

}  // namespace drpf::client
