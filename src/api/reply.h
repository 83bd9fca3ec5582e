// What a resource says, and when it may be said: at once, when what it tells of has settled, or when somebody else knows the answer.
// One way of answering later for all doors.
#pragma once

#include <functional>
#include <utility>

#include "api/service.h"
#include "net/http_message.h"

namespace drpf::api {

struct Reply {
  Reply(net::Response ready, Settling waits_for = {}) : response(std::move(ready)), settling(waits_for) {}
  static Reply later(std::function<void(net::Respond)> ask) {
    Reply reply{net::Response{}};
    reply.ask = std::move(ask);
    return reply;
  }

  net::Response response;
  Settling settling;                        // to be given when this has settled
  std::function<void(net::Respond)> ask{};  // when set: gives the response itself, once, in the call or after it
};

// Keeps an answer until what it waits for has settled.
using Hold = std::function<void(Settling, std::function<void()>)>;

// Without `hold`, answers are not kept.
void give(Reply reply, const Hold& hold, const net::Respond& respond);

}  // namespace drpf::api
