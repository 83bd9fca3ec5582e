// XML as we write it: an element with text in it, escaped.
#pragma once

#include <string>
#include <string_view>

namespace drpf::protocol {

inline std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

inline std::string element(std::string_view name, std::string_view text) {
  return std::string("<").append(name).append(">").append(escaped(text)).append("</").append(name).append(">");
}

}  // namespace drpf::protocol
