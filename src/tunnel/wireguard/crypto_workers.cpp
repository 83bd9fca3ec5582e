#include "tunnel/wireguard/crypto_workers.h"

#include <pthread.h>

#include <algorithm>
#include <cassert>

namespace drpf::tunnel::wireguard {

std::size_t CryptoWorkers::count_for(unsigned cores) {
  constexpr unsigned cores_min = 4;
  constexpr std::size_t useful_max = 6;  // reading, writing and the kernel's share are not divided
  return cores < cores_min ? 0 : std::min<std::size_t>(cores / 2 - 1, useful_max);
}

CryptoWorkers::CryptoWorkers(std::size_t count, const char* thread_name) {
  for (std::size_t worker = 1; worker <= std::min(count, count_max); ++worker) {
    threads_.emplace_back([this, worker] { run(worker); });
    pthread_setname_np(threads_.back().native_handle(), thread_name);
  }
}

CryptoWorkers::~CryptoWorkers() {
  stopping_.store(true);
  round_.fetch_add(1);
  round_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void CryptoWorkers::share(std::size_t jobs, const Work& work) {
  assert(jobs <= jobs_max);
  if (jobs == 0) return;
  const auto round = ticket_.load().round + 1;
  work_ = &work;
  unfinished_.store(static_cast<std::uint32_t>(jobs));
  ticket_.store({round, static_cast<std::uint16_t>(jobs), 0});
  round_.store(round);
  for (std::size_t wanted = std::min(jobs - 1, threads_.size()); wanted > 0; --wanted) round_.notify_one();
  work_on(round, 0);
  for (auto left = unfinished_.load(); left != 0; left = unfinished_.load()) unfinished_.wait(left);
}

void CryptoWorkers::run(std::size_t worker) {
  for (std::uint32_t seen = 0;;) {
    round_.wait(seen);
    seen = round_.load();
    if (stopping_.load()) return;
    work_on(seen, worker);
  }
}

void CryptoWorkers::work_on(std::uint32_t round, std::size_t worker) {
  auto ticket = ticket_.load();
  while (ticket.round == round && ticket.next < ticket.jobs) {
    if (!ticket_.compare_exchange_weak(ticket, {ticket.round, ticket.jobs, static_cast<std::uint16_t>(ticket.next + 1)})) continue;
    (*work_)(ticket.next, worker);
    if (unfinished_.fetch_sub(1) == 1) unfinished_.notify_one();
    ticket = ticket_.load();
  }
}

}  // namespace drpf::tunnel::wireguard
