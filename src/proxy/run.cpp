#include "proxy/run.h"

#include <spdlog/logger.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "net/listen_socket.h"
#include "proxy/confinement.h"
#include "proxy/listeners.h"
#include "proxy/pages.h"
#include "proxy/server.h"
#include "system/privileges.h"
#include "terminal/exit_code.h"
#include "terminal/terminal.h"

namespace drpf::proxy {
namespace {

constexpr int backlog = 1024;
constexpr std::uint64_t descriptors_beside_connections = 256;
constexpr std::chrono::milliseconds loop_turn_max{1000};
constexpr std::chrono::milliseconds pause_before_restart{500};

Policy policy_of(const Settings& settings, std::vector<Prefix> sources) {
  Policy policy;
  policy.sources = std::move(sources);
  policy.reach_private = settings.reach_private;
  if (!settings.connect_ports.empty()) policy.connect_ports = settings.connect_ports;
  policy.listeners = settings.listen;
  return policy;
}

Limits limits_of(const Settings& settings) {
  Limits limits;
  limits.answer = limits.body = std::chrono::ceil<std::chrono::seconds>(settings.answer_timeout);
  limits.connect = std::min(limits.connect, limits.answer);
  return limits;
}

std::string words_of(const std::vector<Prefix>& prefixes) {
  std::string out;
  for (const auto& prefix : prefixes) out += (out.empty() ? "" : ", ") + to_string(prefix);
  return out;
}

// Everything that a right or a file is needed for.
struct Opened {
  std::vector<system::Fd> doors;
  std::vector<Endpoint> endpoints;  // with the ports that were taken
  AccessLog access;
  std::vector<Prefix> sources;
};

Result<Opened> open_all(const Settings& settings, const std::vector<Prefix>& coming) {
  Opened out;
  if (auto proven = prove_listeners(settings); !proven) return fail(proven.error());
  auto network = system::LinksAndRoutes::open();
  if (!network) return fail(network.error());
  const auto addresses = network->addresses();
  if (!addresses) return fail(addresses.error());
  auto sources = sources_of(settings, *addresses, coming);
  if (!sources) return fail(sources.error());
  out.sources = std::move(*sources);
  for (const auto& endpoint : settings.listen) {
    auto door = net::listen_on_tcp(endpoint, std::nullopt);
    if (!door) return fail(door.error());
    ::listen(door->get(), backlog);
    out.endpoints.push_back(local_end(door->get()).value_or(endpoint));
    out.doors.push_back(std::move(*door));
  }
  if (settings.access_log) {
    system::Fd file(::open(settings.access_log->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!file.valid())
      return fail(failure("access_log", fmt::format("cannot write the access log {}: {}", *settings.access_log, std::strerror(errno)),
                          "check that its folder is there, and that this user may write there"));
    out.access = AccessLog(std::move(file));
  }
  return out;
}

// SIGINT and SIGTERM, as something to be read.
system::Fd ending_signals() {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  return system::Fd(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
}

Status serve(const Settings& settings, Opened opened, std::string_view ready, spdlog::logger& log) {
  auto poller = Poller::open();
  if (!poller) return fail(poller.error());
  auto routes = system::RouteLookup::open();
  if (!routes) return fail(routes.error());
  auto limits = limits_of(settings);
  auto policy = policy_of(settings, std::move(opened.sources));
  policy.listeners = opened.endpoints;
  const auto wanted = 2 * limits.connections + descriptors_beside_connections;
  if (const auto allowed = system::allow_descriptors(wanted); allowed < wanted)
    limits.connections =
        std::max<std::size_t>(allowed > descriptors_beside_connections ? (allowed - descriptors_beside_connections) / 2 : 0, 1);
  Channel signals;
  if (!signals.open(*poller, ending_signals())) return fail(failure("signals", "cannot wait for signals"));
  signals.nothing_to_read();
  if (auto confined = confine(log); !confined) return confined;

  Resolver resolver(*poller);
  Dialer dialer(*poller, resolver, policy, std::move(*routes));
  const Services services{settings.udp, settings.bind_on};
  Server server(Parts{*poller, dialer, policy, limits, services, opened.access}, log);
  std::string where;
  for (std::size_t i = 0; i < opened.doors.size(); ++i) {
    if (!server.listen(std::move(opened.doors[i]))) return fail(failure("listen_failed", "cannot wait for clients"));
    where += (where.empty() ? "" : ", ") + to_string(opened.endpoints[i]);
  }
  log.info("{}{} for {}{}", ready, where, words_of(policy.sources),
           policy.reach_private.empty() ? "" : "; reaches " + words_of(policy.reach_private) + " too");
  while (!signals.readable()) {
    poller->run_once(loop_turn_max);
    server.clear_ended();
  }
  log.info("the proxy ends: {} clients served, {} refused", server.accepted(), server.refused());
  return {};
}

// Starts the proxy as often as it ends, until the other end of the lifeline is closed.
int supervise(const Settings& settings, Opened& opened, int lifeline, pid_t parent, spdlog::logger& log) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_IGN);
  if (const auto given_up = give_up_rights(log); !given_up) return 1;
  // Which the change of the user has taken back.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) return 1;
  while (true) {
    auto child = system::Process::fork([&] {
      const auto served = serve(settings, std::move(opened), "proxy on ", log);
      if (!served) log.error("the proxy does not start: {}", served.error().message);
      return served ? 0 : 1;
    });
    if (!child) return 1;
    const system::Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, child->pid(), 0)));
    std::array<pollfd, 2> waiting{pollfd{ended.get(), POLLIN, 0}, pollfd{lifeline, POLLIN, 0}};
    while (::poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {}
    if (waiting[1].revents != 0) return 0;
    child->kill();
    log.error("the proxy has ended, and is started again; open connections are cut");
    std::this_thread::sleep_for(pause_before_restart);
  }
}

}  // namespace

Result<ProxyBeside> start_beside(const Settings& settings, const std::vector<Prefix>& coming, spdlog::logger& log) {
  auto opened = open_all(settings, coming);
  if (!opened) return fail(opened.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(failure("pipe", fmt::format("cannot start the proxy: {}", std::strerror(errno))));
  const system::Fd reading(ends[0]);
  system::Fd writing(ends[1]);
  const auto parent = ::getpid();
  auto supervisor = system::Process::fork([&] {
    writing = system::Fd();
    return supervise(settings, *opened, reading.get(), parent, log);
  });
  if (!supervisor) return fail(supervisor.error());
  return ProxyBeside{std::move(*supervisor), std::move(writing)};
}

int run(const Settings& settings, const system::LogOptions& log_options) {
  system::hold_standard_streams();
  const auto log = system::make_log(log_options);
  auto opened = open_all(settings, {});
  auto served = opened ? serve(settings, std::move(*opened), "READY: proxy on ", *log) : fail(opened.error());
  if (served) return terminal::exit_ok;
  const auto& error = served.error();
  log->critical("the proxy does not start: {}{}", error.message, error.cure.empty() ? "" : " Cure: " + error.cure);
  return terminal::exit_code_of(error);
}

int print_settings(const Settings& settings) {
  if (const auto proven = prove_listeners(settings); !proven) return terminal::report(proven.error());
  const auto policy = policy_of(settings, settings.allow);
  std::string text;
  for (const auto& endpoint : settings.listen) text += (text.empty() ? "" : "\n\n") + settings_text(endpoint, policy);
  return terminal::print(text);
}

}  // namespace drpf::proxy
