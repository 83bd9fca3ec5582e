#include "client/connect/gateway_contact.h"

namespace drpf::client {

GatewayContact::Due GatewayContact::tick(Time now, std::optional<Time> last_authenticated) {
  Due due;
  if (unheard_since_ && last_authenticated > unheard_since_) unheard_since_.reset();
  if (unheard_since_) {
    due.sign_of_life = true;
    due.handshake = now - last_shown_ >= handshake_pause;
    if (due.handshake) last_shown_ = now;
  }
  const bool is_silent = !last_authenticated || now - *last_authenticated >= silence_before_retry;
  due.other_way = !answers_ && now - last_attempt_ >= retry_pause && is_silent;
  return due;
}

}  // namespace drpf::client
