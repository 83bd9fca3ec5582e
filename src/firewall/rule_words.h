// The words of one rule as `nft list ruleset` prints it, and the lines of its blocks. Cuts text; judges nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drpf::firewall {

// Without those and what nft(8) adds behind it: "# handle 7".
std::string_view listed_line(std::string_view line);
// "chain input {" -> "input"; empty where it is no such line.
std::string_view block_name(std::string_view line, std::string_view keyword);
std::string_view word_behind(std::string_view line, std::string_view keyword);  // without quotes and semicolon

// "syn / fin,syn,rst,ack", "& (fin | syn) == fin | syn", "!= syn", "fin,psh": a condition on the flags of a TCP packet.
struct FlagCondition {
  unsigned value = 0;
  unsigned mask = 0;
  bool has_mask = false;
  bool compares = false;  // whole, not bit by bit
  bool negated = false;
  bool meets_syn() const;  // does the first packet of a connection, SYN alone, meet it?
  bool meets_ack() const;  // one in its middle: ACK alone
};

class RuleWords {
 public:
  explicit RuleWords(std::string_view rule);
  bool at_end() const { return next_ >= words_.size(); }
  std::string_view peek() const { return at_end() ? std::string_view() : words_[next_]; }
  std::string_view take();  // empty at the end
  void skip(std::size_t count);
  // One value, a list like "established,related", or what stands in braces: its elements, "22 : accept" as one.
  std::vector<std::string> take_values();
  FlagCondition take_flags();  // behind "tcp flags"
  // Behind "limit": is a packet taken as long as the limit is not reached?
  bool passes_limit();

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

}  // namespace drpf::firewall
