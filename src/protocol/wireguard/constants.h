// The numbers of the WireGuard protocol and the limits that this implementation adds to them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/time.h"

namespace drpf::protocol::wireguard {

// Sessions (WireGuard paper, section 6).
inline constexpr std::uint64_t rekey_after_messages = std::uint64_t{1} << 60;
inline constexpr std::uint64_t reject_after_messages = UINT64_MAX - (std::uint64_t{1} << 13);  // 2^64 - 2^13 - 1
inline constexpr Duration rekey_after_time = std::chrono::seconds(120);
inline constexpr Duration reject_after_time = std::chrono::seconds(180);
inline constexpr Duration erase_keys_after = 3 * reject_after_time;

// Handshake and keepalive timers.
inline constexpr Duration rekey_timeout = std::chrono::seconds(5);
inline constexpr Duration rekey_attempt_time = std::chrono::seconds(90);
inline constexpr unsigned handshake_attempts_max = static_cast<unsigned>(rekey_attempt_time / rekey_timeout);  // 18
inline constexpr unsigned jitter_max_ms = 333;
inline constexpr Duration keepalive_timeout = std::chrono::seconds(10);
inline constexpr Duration new_handshake_after = keepalive_timeout + rekey_timeout;
inline constexpr Duration rekey_on_receive_after = reject_after_time - keepalive_timeout - rekey_timeout;  // 165 s
inline constexpr Duration initiation_interval_min = std::chrono::milliseconds(20);                         // accepted per peer: 50/s

// Cookies.
inline constexpr Duration cookie_lifetime = std::chrono::seconds(120);
inline constexpr Duration cookie_latency = std::chrono::seconds(5);
inline constexpr Duration cookie_secret_lifetime = std::chrono::seconds(120);

// Handshake queue and its limiter.
inline constexpr std::size_t handshake_queue_max = 4096;
inline constexpr std::size_t under_load_from = handshake_queue_max / 8;
inline constexpr Duration under_load_sticky = std::chrono::seconds(1);
inline constexpr unsigned unproved_handshakes_per_second = 1000;  // more than that is load too, however fast the queue is emptied
inline constexpr unsigned initiations_per_second = 20;
inline constexpr unsigned initiations_burst = 5;
inline constexpr std::size_t limiter_entries_max = 65536;
inline constexpr Duration limiter_collect_interval = std::chrono::seconds(1);

// Replay window: a ring of 8192 bits of which 8128 are in effect, because one word is always being cleared.
inline constexpr std::size_t replay_ring_bits = 8192;
inline constexpr std::uint64_t replay_window_size = replay_ring_bits - 64;

inline constexpr std::size_t padding_multiple = 16;
inline constexpr std::size_t staged_packets_max = 128;  // per peer, while there is no session

}  // namespace drpf::protocol::wireguard
