#include "scan/service_guess.h"

#include <algorithm>
#include <cctype>

namespace drpf::scan {
namespace {

bool has_word(std::string_view text, std::string_view upper_case_word) {
  const auto same = [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; };
  return std::search(text.begin(), text.end(), upper_case_word.begin(), upper_case_word.end(), same) != text.end();
}

// RFC 854: a Telnet server begins with options, IAC (255) and WILL to DONT (251 to 254).
bool is_telnet(std::string_view banner) {
  return banner.size() >= 3 && static_cast<unsigned char>(banner[0]) == 255 && static_cast<unsigned char>(banner[1]) >= 251 &&
         static_cast<unsigned char>(banner[1]) <= 254;
}

// MySQL's handshake: three bytes length, packet number 0, protocol version 10, and a version text.
bool is_mysql(std::string_view banner) {
  return banner.size() > 6 && banner[3] == 0 && banner[4] == 10 && std::isdigit(static_cast<unsigned char>(banner[5])) != 0;
}

}  // namespace

std::string_view guess_service(std::string_view banner) {
  if (banner.starts_with("SSH-")) return "ssh";                                      // RFC 4253, section 4.2
  if (banner.starts_with("HTTP/")) return "http";                                    // RFC 9112, section 4
  if (banner.starts_with("RTSP/")) return "rtsp";                                    // RFC 2326
  if (banner.starts_with("RFB ")) return "vnc";                                      // RFC 6143, section 7.1.1
  if (banner.starts_with("+OK")) return "pop3";                                      // RFC 1939
  if (banner.starts_with("* OK") || banner.starts_with("* PREAUTH")) return "imap";  // RFC 9051, section 7.1
  if (banner.starts_with("@RSYNCD:")) return "rsync";
  if (banner.starts_with("AMQP")) return "amqp";
  if (banner.starts_with("-ERR wrong number of arguments") || banner.starts_with("-DENIED Redis")) return "redis";
  if (banner.starts_with("220 ") || banner.starts_with("220-")) {  // RFC 5321, section 4.2, and RFC 959, section 4.2, begin alike
    if (has_word(banner, "SMTP")) return "smtp";
    return has_word(banner, "FTP") ? "ftp" : "";
  }
  if (banner.starts_with("200 ") || banner.starts_with("201 "))
    return has_word(banner, "NNTP") || has_word(banner, "NEWS") ? "nntp" : "";  // RFC 3977
  if (is_telnet(banner)) return "telnet";
  if (is_mysql(banner)) return "mysql";
  return {};
}

}  // namespace drpf::scan
