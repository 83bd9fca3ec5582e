// Keeper of the rule set of one nftables table of family inet: puts it in whole, owns the table where that is asked for, knows whether it
// stands as it was put, takes it away. What the rules mean and what their maps and sets hold is not its affair. Blocking.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "system/nft_table.h"

namespace drpf::ruleset {

// What is to stand in a table.
struct Structure {
  std::string text;  // for `nft -f -`: one transaction
  // Of a text that is laid onto what stands there already, so that maps and sets keep their elements (flat form: add chain, flush chain,
  // add rule; the table itself is made by the keeper). None: the text replaces the table itself, elements and all.
  struct Parts {
    std::vector<std::string> chains;  // all that belong there; others are remains of another version
    std::size_t rules = 0;            // in all of them
  };
  std::optional<Parts> parts = std::nullopt;
};

class Keeper {
 public:
  struct Options {
    bool own = false;  // laid-on structures only: where the kernel can, nobody else may change the table
    Duration nft_time_max = std::chrono::seconds(10);
    std::string refused;  // how the error begins when nft refuses the text; what nft says follows
    bool brief = false;   // only the first line of it
    std::string cure;
  };

  static Result<Keeper> open(std::string table, Options options);

  // Whole or not at all; twice is the same as once, so it also restores. On an error what stood before stands, and is owned as it was. The
  // error "table_owned" means that another process owns the table.
  Status put(const Structure& structure);

  enum class Standing : std::uint8_t { absent, altered, as_put };
  Result<Standing> standing();  // changes nothing, also of what look() will say

  enum class Seen : std::uint8_t {
    nothing,        // nobody but us changed any rule set since the last look
    others_change,  // somebody changed something; the structure stands
    altered,        // it is gone or not as it was put: put() it again
  };
  Result<Seen> look();  // cheap when nothing happened (0.05 ms)

  // Our own change of elements: what others change at the same time is told by look().
  Status change(const system::NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed = nullptr);
  std::size_t foreign_changes() const { return foreign_changes_; }  // noticed beside our own, so far

  bool owned() const { return owned_; }
  const std::string& as_put() const { return fingerprint_; }  // of what was put last; empty = nothing yet
  system::NftTable& table() { return table_; }                // for reading; another object after put()
  const system::NftTable& table() const { return table_; }

  // Removes the table that this or a killed predecessor left. True if there was one.
  static Result<bool> clear(const std::string& table);

  static constexpr std::size_t program_words_max = 2000;  // of nft, in an error

 private:
  Keeper(system::NftTable table, Options options) : table_(std::move(table)), options_(std::move(options)) {}

  Status lay_on(const Structure& structure);
  Status lay_text_on(const Structure& structure, bool table_is_new);
  Status apply(const std::string& text) const;
  void take_back(bool was_owned);
  Status remember(const Structure& structure);

  system::NftTable table_;
  Options options_;
  bool owned_ = false;
  bool foreign_change_ = false;  // not looked at yet, or not put back yet
  std::size_t foreign_changes_ = 0;
  std::uint32_t generation_ = 0;  // of the kernel's rule sets, when we last looked
  std::string fingerprint_;       // of the structure as it was put
};

}  // namespace drpf::ruleset
