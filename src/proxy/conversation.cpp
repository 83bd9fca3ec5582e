#include "proxy/conversation.h"

#include "core/text.h"
#include "proxy/pages.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {

namespace {

Task<void> refuse_language(Parts& parts, Client& client) {
  client.stream.out = failure_page(400, "this is neither HTTP nor SOCKS; TLS is not spoken to the proxy itself", {});
  const bool written = co_await write_out(parts.poller, client.stream, parts.poller.now() + parts.limits.head);
  if (written) co_await linger(parts.poller, client.stream, parts.poller.now() + parts.limits.lingering);
}

}  // namespace

Task<void> converse(Parts& parts, Client& client) {
  const bool anything = co_await read_more(parts.poller, client.stream, parts.poller.now() + parts.limits.head);
  if (!anything) co_return;
  constexpr char version4 = 4;
  constexpr char version5 = 5;
  const char first = client.stream.in.front();
  if (first == version4)
    co_await serve_socks4(parts, client);
  else if (first == version5)
    co_await serve_socks5(parts, client);
  else if (is_letter_or_digit(first) || first == '\r' || first == '\n')
    co_await serve_http(parts, client);
  else
    co_await refuse_language(parts, client);
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
