// An ftp:// address for a client that speaks HTTP: a file, a folder as a page, or a file that is put there. Decides nothing about
// addresses.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/http/message_head.h"
#include "proxy/conversation.h"
#include "proxy/target.h"

namespace drpf::proxy {

struct FtpOutcome {
  enum class What : std::uint8_t {
    done,
    failed,  // nothing has gone to the client: a page with `status` and `why` can
    cut,     // in the middle of a file
  };
  What what = What::done;
  unsigned status = 200;
  std::string why;
  std::uint64_t bytes = 0;
};

// The answer ends the client's connection.
Task<FtpOutcome> fetch_by_ftp(Parts& parts, Client& client, const protocol::http::RequestHead& head, const HttpTarget& target,
                              Access& access);

}  // namespace drpf::proxy
