#include "proxy/resolver.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "system/socket_address.h"

namespace drpf::proxy {
namespace {

Resolved ask_system(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  Resolved answer;
  if (const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &list); error != 0) {
    answer.why = error == EAI_SYSTEM ? "the resolver did not answer" : ::gai_strerror(error);
    return answer;
  }
  for (const addrinfo* entry = list; entry != nullptr && answer.addresses.size() < Resolver::addresses_max; entry = entry->ai_next) {
    const auto endpoint = system::from_socket_address(entry->ai_addr, entry->ai_addrlen);
    if (!endpoint) continue;
    if (std::find(answer.addresses.begin(), answer.addresses.end(), endpoint->address) == answer.addresses.end())
      answer.addresses.push_back(endpoint->address);
  }
  ::freeaddrinfo(list);
  if (answer.addresses.empty()) answer.why = "the name has no address";
  return answer;
}

}  // namespace

Resolver::Resolver(Poller& poller) : poller_(poller) {
  for (std::size_t i = 0; i < threads; ++i) std::thread([desk = desk_] { work(*desk); }).detach();
}

Resolver::~Resolver() {
  const std::lock_guard guard(desk_->lock);
  desk_->ended = true;
  desk_->news.notify_all();
}

void Resolver::work(Desk& desk) {
  std::unique_lock guard(desk.lock);
  while (true) {
    desk.news.wait(guard, [&] { return desk.ended || !desk.questions.empty(); });
    if (desk.ended) return;
    const auto question = std::move(desk.questions.front());
    desk.questions.pop_front();
    guard.unlock();
    auto answer = ask_system(question->name);
    guard.lock();
    question->answer = std::move(answer);
    question->answered = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto told = ::write(question->told.get(), &one, sizeof one);
  }
}

void Resolver::keep(const std::string& name, const Resolved& answer) {
  if (kept_.size() >= kept_max) std::erase_if(kept_, [this](const auto& one) { return one.second.until <= poller_.now(); });
  if (kept_.size() >= kept_max) kept_.clear();
  kept_[name] = {answer, poller_.now() + (answer.addresses.empty() ? failure_kept_for : kept_for)};
}

Task<Resolved> Resolver::look_up(std::string name, Deadline deadline) {
  if (const auto found = kept_.find(name); found != kept_.end() && found->second.until > poller_.now()) co_return found->second.answer;
  Resolved none;
  none.why = "the resolver did not answer";
  auto question = std::make_shared<Question>();
  question->name = name;
  question->told = system::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Channel told;
  if (!question->told.valid() || !told.open(poller_, system::Fd(::fcntl(question->told.get(), F_DUPFD_CLOEXEC, 0)))) co_return none;
  told.nothing_to_read();
  {
    const std::lock_guard guard(desk_->lock);
    if (desk_->questions.size() >= waiting_max) co_return none;
    desk_->questions.push_back(question);
  }
  desk_->news.notify_one();
  Wait answer(poller_, {to_read(told)}, deadline);
  co_await answer;
  {
    const std::lock_guard guard(desk_->lock);
    if (!question->answered) {
      std::erase(desk_->questions, question);
      co_return none;
    }
  }
  keep(name, question->answer);
  co_return std::move(question->answer);
}

}  // namespace drpf::proxy
