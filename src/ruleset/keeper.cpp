#include "ruleset/keeper.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

#include "system/nft_program.h"

namespace drpf::ruleset {
namespace {

using State = system::NftTable::State;

// As many chains and rules as were written; a chain that another program has put there is one too many.
bool is_whole(const std::string& fingerprint, const Structure::Parts& parts) {
  const auto count = [&](std::string_view word) {
    std::size_t lines = 0;
    for (auto at = fingerprint.find(word); at != std::string::npos; at = fingerprint.find(word, at + 1)) ++lines;
    return lines;
  };
  return count("\nchain ") == parts.chains.size() && count("\nrule ") == parts.rules;
}

}  // namespace

Result<Keeper> Keeper::open(std::string table, Options options) {
  auto opened = system::NftTable::open(std::move(table));
  if (!opened) return fail(opened.error());
  return Keeper(std::move(*opened), std::move(options));
}

Status Keeper::put(const Structure& structure) {
  // New sockets, and the old ones closed: one of those may own the table, and then nft could not write to it.
  auto table = system::NftTable::open(table_.name());
  if (!table) return fail(table.error());
  table_ = std::move(*table);
  const bool was_owned = std::exchange(owned_, false);
  foreign_change_ = true;  // until this has succeeded
  if (auto written = structure.parts ? lay_on(structure) : apply(structure.text); !written) {
    take_back(was_owned);
    return written;
  }
  return remember(structure);
}

// What was put before stands as it did where nft has refused the new structure whole, or was not run at all.
void Keeper::take_back(bool was_owned) {
  if (was_owned) {
    if (auto adopted = table_.adopt(); !adopted) return;  // it is gone, or somebody else's: look() tells
    owned_ = true;
  }
  // The generation first: a change that comes in between is noticed by the next look().
  const auto generation = table_.generation();
  const auto stands = standing();
  if (!generation || !stands || *stands != Standing::as_put) return;
  generation_ = *generation;
  foreign_change_ = false;
}

// The order matters: the table must be given its structure while nobody owns it.
Status Keeper::lay_on(const Structure& structure) {
  bool persistent = false;
  if (options_.own) {
    const auto can = table_.can_persist();
    if (!can) return fail(can.error());
    persistent = *can;
  }
  auto state = table_.state();
  if (!state) return fail(state.error());
  if (*state == State::owned)
    return fail(failure("table_owned", fmt::format("another process owns the nftables table inet {}", table_.name()),
                        "stop the process that owns it: nft list ruleset names it"));
  // A table cannot be made persistent later, and one that is persistent without need would only differ from what was asked.
  if (*state != State::absent && persistent != (*state == State::orphan)) {
    if (auto removed = table_.remove(); !removed) return removed;
    state = State::absent;
  }
  const bool is_new = *state == State::absent;
  // Where it is there already this wakes it up, should somebody have made it dormant.
  if (auto created = table_.create(persistent); !created) return created;
  if (auto applied = lay_text_on(structure, is_new); !applied) {
    if (is_new) {
      if (auto removed = table_.remove(); !removed) spdlog::warn("{}", removed.error().message);
      return applied;
    }
    // That nft was not run says nothing about the table, and one that stands as we have put it is not given up for another.
    if (applied.error().code != "nft_failed") return applied;
    if (const auto stands = standing(); !stands || *stands == Standing::as_put) return applied;
    // The remains of another version, or what others have made of ours, which this structure does not fit on: begin anew. What keeps the
    // gap closed is the caller's.
    spdlog::warn("the table of the predecessor cannot be used, building a new one: {}", applied.error().message);
    if (auto removed = table_.remove(); !removed) return removed;
    if (auto created = table_.create(persistent); !created) return created;
    if (auto again = lay_text_on(structure, true); !again) return again;
  }
  if (persistent) {
    if (auto adopted = table_.adopt(); !adopted) return adopted;
    owned_ = true;
  }
  return {};
}

Status Keeper::lay_text_on(const Structure& structure, bool table_is_new) {
  std::string commands;
  if (!table_is_new) {
    const auto present = table_.chains();
    if (!present) return fail(present.error());
    const auto& known = structure.parts->chains;
    std::vector<std::string> unknown;
    std::copy_if(present->begin(), present->end(), std::back_inserter(unknown),
                 [&](const std::string& chain) { return std::find(known.begin(), known.end(), chain) == known.end(); });
    for (const auto& chain : unknown) commands += fmt::format("flush chain inet {} {}\n", table_.name(), chain);
    for (const auto& chain : unknown) commands += fmt::format("delete chain inet {} {}\n", table_.name(), chain);
  }
  return apply(commands + structure.text);
}

Status Keeper::apply(const std::string& text) const {
  const auto output = system::run_nft(system::NftTask::apply, text, options_.nft_time_max);
  if (!output) {
    const bool missing = output.error().kind == Error::Kind::not_found;
    auto message = "could not run nft to set up the firewall: " + output.error().message;
    if (missing) return fail(unavailable("nft_missing", std::move(message), "install nftables: apt install nftables"));
    return fail(failure("nft_not_run", std::move(message), output.error().cure));
  }
  if (output->exit_code == 0) return {};
  const auto words = options_.brief ? output->err.substr(0, output->err.find('\n')) : output->err.substr(0, program_words_max);
  return fail(failure("nft_failed", fmt::format("{}: {}", options_.refused, words), options_.cure));
}

// The generation first: whoever flushes meanwhile is noticed by look() and does not become what we compare with.
Status Keeper::remember(const Structure& structure) {
  const auto generation = table_.generation();
  if (!generation) return fail(generation.error());
  auto fingerprint = table_.fingerprint();
  if (!fingerprint) return fail(fingerprint.error());
  if (fingerprint->empty() || (structure.parts && !is_whole(*fingerprint, *structure.parts)))
    return fail(failure("ruleset_disturbed", "another program changed the table while it was built", "find out which: drpf check"));
  generation_ = *generation;
  fingerprint_ = std::move(*fingerprint);
  foreign_change_ = false;
  return {};
}

Result<Keeper::Standing> Keeper::standing() {
  const auto fingerprint = table_.fingerprint();
  if (!fingerprint) return fail(fingerprint.error());
  if (fingerprint->empty()) return Standing::absent;
  return *fingerprint == fingerprint_ ? Standing::as_put : Standing::altered;
}

Result<Keeper::Seen> Keeper::look() {
  const auto generation = table_.generation();
  if (!generation) return fail(generation.error());
  if (*generation == generation_ && !foreign_change_) return Seen::nothing;
  const auto stands = standing();
  if (!stands) return fail(stands.error());
  generation_ = *generation;
  foreign_change_ = *stands != Standing::as_put;
  return foreign_change_ ? Seen::altered : Seen::others_change;
}

// Our commit counts one, and none when it failed; anything more was somebody else, and may be why it failed.
Status Keeper::change(const system::NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed) {
  if (batch.empty()) return {};
  auto applied = table_.apply(batch, attempt, removed);
  const auto generation = table_.generation();
  if (!generation || (*generation != generation_ && !(applied && *generation == generation_ + 1))) {
    foreign_change_ = true;
    ++foreign_changes_;
  }
  if (generation) generation_ = *generation;
  return applied;
}

Result<bool> Keeper::clear(const std::string& table) {
  auto opened = system::NftTable::open(table);
  if (!opened) return false;  // where tables cannot be looked at there is none of ours
  const auto state = opened->state();
  if (!state || *state == State::absent) return false;
  if (auto removed = opened->remove(); !removed) return fail(removed.error());
  return true;
}

}  // namespace drpf::ruleset
