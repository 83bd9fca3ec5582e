#include "client/connect/connect.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "client/connect/closed_state.h"
#include "client/connect/confinement.h"
#include "client/connect/connection.h"
#include "client/connect/endpoint_choice.h"
#include "client/connect/instance_lock.h"
#include "client/connect/other_tunnels.h"
#include "client/connect/route_plan.h"
#include "client/connect/routing.h"
#include "client/follow/program_watch.h"
#include "client/ports/screen.h"
#include "client/share/lan_redirect.h"
#include "protocol/wireguard/wg_quick_file.h"
#include "proxy/run.h"
#include "system/process.h"

namespace drpf::client {
namespace {

using protocol::wireguard::WgQuickFile;

constexpr int exit_usage = 64;
constexpr int exit_malformed = 65;
constexpr int exit_no_input = 66;
constexpr int exit_missing = 69;
constexpr int exit_failed = 70;
constexpr int exit_in_use = 73;
constexpr int exit_no_permission = 77;
constexpr unsigned capability_net_admin = 12;  // linux/capability.h

struct Stop {
  int code = exit_failed;
  Error error;
};
template <class T>
using OrStop = tl::expected<T, Stop>;
tl::unexpected<Stop> stop(int code, Error error) { return tl::unexpected<Stop>(Stop{code, std::move(error)}); }

OrStop<std::string> read_file(const std::string& path, Screen& screen) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return stop(exit_no_input, failure("file_unreadable", fmt::format("reading {}: {}", path, std::strerror(errno)),
                                       "Name the wg-quick file that the gateway printed: drpf device config NAME > home.conf"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (S_ISREG(status.st_mode) && file && static_cast<std::size_t>(status.st_size) <= protocol::wireguard::wg_quick_file_size_max) {
    text.assign(std::istreambuf_iterator<char>(file), {});
  } else {
    file.setstate(std::ios::failbit);
  }
  if (!file) {
    return stop(exit_no_input, failure("file_unreadable",
                                       fmt::format("reading {}: not a readable file of at most {} bytes", path,
                                                   protocol::wireguard::wg_quick_file_size_max),
                                       "Is this the wg-quick file, and may this user read it?"));
  }
  if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0)
    screen.note(fmt::format("{} holds a private key and is open to everybody: chmod 600 {}", path, path));
  return text;
}

OrStop<WgQuickFile> read_configuration(const ConnectOptions& options, Screen& screen) {
  const auto text = read_file(options.file, screen);
  if (!text) return tl::unexpected<Stop>(text.error());
  auto file = protocol::wireguard::parse_wg_quick_file(*text, options.file);
  if (!file) return stop(exit_malformed, file.error());
  for (const auto& note : file->notes) screen.note(fmt::format("{}:{}: {}", options.file, note.line, note.text));
  if (!file->peers.front().endpoint) {
    return stop(exit_malformed, invalid("bad_wg_quick_file",
                                        fmt::format("{}:{}: the gateway's [Peer] has no Endpoint", options.file, file->peers.front().line),
                                        "Add Endpoint = the gateway's public name or address, and its port."));
  }
  return std::move(*file);
}

// A machine without IPv6 keeps its IPv4 tunnel.
void drop_ipv6(WgQuickFile& file, Screen& screen) {
  const auto is_v6 = [](const auto& entry) { return entry.address.is_v6(); };
  const auto before = file.addresses.size();
  std::erase_if(file.addresses, is_v6);
  if (file.addresses.size() != before) screen.note("IPv6 is off on this machine: the tunnel carries IPv4 only");
}

// The effective capabilities, as /proc/self/status has them: a hexadecimal mask.
bool has_net_admin() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const auto digits = std::string_view(line).substr(line.find_first_not_of(" \t", 7));
    std::uint64_t mask = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), mask, 16);
    return (mask >> capability_net_admin & 1) != 0;
  }
  return false;
}

// Before there are threads or secrets, and while there are rights.
OrStop<std::optional<ProgramWatch>> watch_programs(const ConnectOptions& options) {
  if (options.follow.empty() || options.clean_up || options.close) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& rule : options.follow) names.push_back(rule.program);
  auto watch = ProgramWatch::start(std::move(names));
  if (!watch) return stop(exit_failed, watch.error());
  return std::move(*watch);
}

OrStop<void> find_passwords(ConnectOptions& options, Screen& screen) {
  for (auto& wish : options.inform) {
    if (const auto found = find_password(wish); !found) return stop(exit_usage, found.error());
    if (wish.password_on_command_line)
      screen.note(fmt::format(
          "the password of {} is on the command line, where every user of this machine can read it: better a password-file", wish.name()));
  }
  return {};
}

OrStop<void> check_rights() {
  if (has_net_admin()) return {};
  return stop(exit_no_permission,
              not_permitted("no_permission", "setting up a tunnel needs the capability CAP_NET_ADMIN, which this process does not have",
                            "Run it as root (sudo drpf connect ...), or in a network of its own: unshare -rn"));
}

OrStop<void> check_machine(const std::string& interface) {
  if (auto rights = check_rights(); !rights) return rights;
  const system::Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tun.valid()) {
    const int error = errno;
    const bool forbidden = error == EACCES || error == EPERM;
    return stop(
        forbidden ? exit_no_permission : exit_missing,
        failure("no_tun", fmt::format("opening /dev/net/tun: {}", std::strerror(error)),
                forbidden
                    ? "Open it to everybody, as distributions do; the kernel asks for the capability later: chmod 666 /dev/net/tun"
                    : "Load the module (modprobe tun); for a container, pass the device in: --device /dev/net/tun --cap-add NET_ADMIN"));
  }
  if (system::find_program("nft").empty()) {
    return stop(exit_missing,
                unavailable("nft_missing", "the program nft is not here, and without it the tunnel's addresses cannot be guarded",
                            "apt install nftables"));
  }
  if (::if_nametoindex(interface.c_str()) != 0) {
    return stop(
        exit_in_use,
        refusal("interface_in_use", fmt::format("there is an interface {} already, and it is not of drpf connect", interface),
                fmt::format("Take it down (wg-quick down {0}, or ip link del {0}), or use another name: --interface NAME.", interface)));
  }
  return {};
}

OrStop<void> check_askers(const ConnectOptions& options) {
  for (const auto& asker : options.askers)
    if (const auto status = check_interface_name(asker); !status) return stop(exit_usage, status.error());
  return {};
}

OrStop<void> check_share(const ConnectOptions& options, const std::string& tunnel) {
  if (!options.share) return {};
  if (const auto status = check_interface_name(*options.share); !status) return stop(exit_usage, status.error());
  if (*options.share != tunnel) return {};
  return stop(exit_usage, invalid("bad_share", "--share " + tunnel + " is the tunnel itself", "Name the interface of the local network."));
}

OrStop<std::string> interface_of(const ConnectOptions& options) {
  if (!options.interface) {
    auto name = interface_name_of_file(options.file);
    if (!name) return stop(exit_usage, name.error());
    return std::move(*name);
  }
  if (const auto status = check_interface_name(*options.interface); !status) return stop(exit_usage, status.error());
  return *options.interface;
}

// One note per interface and network namespace, as the interface is: the folder may be shared by several.
std::string note_path(const ConnectOptions& options, const std::string& interface) {
  struct stat network{};
  ::stat("/proc/self/ns/net", &network);
  ::mkdir(options.state_directory.c_str(), 0755);
  return fmt::format("{}/connect-{}-{}.settings", options.state_directory, interface, network.st_ino);
}

OrStop<void> clean_up(const std::string& interface, const std::string& note, Screen& screen) {
  const auto left = Routing(interface, note).clear();
  if (!left) return stop(exit_failed, left.error());
  const auto share_left = LanRedirect::clear(interface, share_note_path(note));
  if (!share_left) return stop(exit_failed, share_left.error());
  forget_word(word_path(note));
  if (*left) NameServers(interface).clear();
  if (*left) screen.note(fmt::format("cleared what an earlier drpf connect left of {}", interface));
  if (*share_left && !*left) screen.note(fmt::format("cleared what an earlier drpf connect left of sharing {}", interface));
  if (!*left && !*share_left) screen.note(fmt::format("nothing is left of {}", interface));
  return {};
}

OrStop<void> show_status(const ConnectOptions& options, const std::string& interface, Screen& screen) {
  const auto state = look_at_closed_state(interface, note_path(options, interface));
  if (!state) return stop(exit_failed, state.error());
  screen.status(interface, state->any(), closed_sentence(*state));
  return {};
}

OrStop<RoutePlan> plan_of(const ConnectOptions& options, const WgQuickFile& file, const std::string& interface, Screen& screen) {
  RouteWish wish;
  wish.interface = interface;
  wish.inbound_only = options.inbound_only;
  wish.kill_switch = options.kill_switch;
  wish.ipv6 = has_ipv6();
  wish.let_in = options.let_in;
  wish.askers = options.askers;
  wish.shares = options.share.has_value();
  auto plan = make_route_plan(file, wish);
  for (const auto& text : plan.notes) screen.note(text);
  if (options.share && plan.table == 0) {
    return stop(exit_usage,
                invalid("bad_share", "--share with a file whose routes are for some networks only: visitors could not be answered",
                        "Use --inbound-only, or a file with AllowedIPs = 0.0.0.0/0."));
  }
  const auto others = other_tunnels(interface);
  if (!others) return stop(exit_failed, others.error());
  if (const auto fits = check_beside(plan, *others); !fits) return stop(exit_in_use, fits.error());
  const auto& endpoint = *file.peers.front().endpoint;
  if (const auto literal = parse_address(endpoint.host))
    if (const auto usable = usable_endpoints(endpoint, {{*literal, endpoint.port}}, plan, addresses_of_this_machine()); !usable)
      return stop(exit_malformed, usable.error());
  return plan;
}

// What stood before goes on standing until the plan of this start is in its place.
OrStop<void> take_over(const std::string& interface, const std::string& note, Screen& screen) {
  const auto share_left = LanRedirect::clear(interface, share_note_path(note));
  if (!share_left) return stop(exit_failed, share_left.error());
  const auto state = look_at_closed_state(interface, note);
  if (!state || !state->any()) return {};
  screen.note(fmt::format("took over what an earlier drpf connect left of {}", interface));
  NameServers(interface).clear();
  return {};
}

OrStop<void> run(ConnectOptions options, const std::string& interface, Screen& screen) {
  if (auto shared = check_share(options, interface); !shared) return shared;
  if (auto askers = check_askers(options); !askers) return askers;
  auto programs = watch_programs(options);
  if (!programs) return tl::unexpected<Stop>(programs.error());
  auto file = options.clean_up ? OrStop<WgQuickFile>(WgQuickFile{}) : read_configuration(options, screen);
  if (!file) return tl::unexpected<Stop>(file.error());
  if (auto rights = check_rights(); !rights && options.clean_up) return rights;
  if (const auto found = find_passwords(options, screen); !found && !options.clean_up && !options.close) return found;

  const auto note = note_path(options, interface);
  // An ordinary user in a network of his own has no such folder, and there the interface is his alone.
  const bool has_folder = ::faccessat(AT_FDCWD, options.state_directory.c_str(), W_OK, AT_EACCESS) == 0;
  const auto lock = has_folder ? lock_interface(interface, lock_path(note)) : Result<system::Fd>(system::Fd());
  if (!lock) return stop(lock.error().kind == Error::Kind::refusal ? exit_in_use : exit_failed, lock.error());
  if (options.clean_up) return clean_up(interface, note, screen);
  if (auto status = options.close ? check_rights() : check_machine(interface); !status) return status;

  std::optional<proxy::ProxyBeside> proxy;
  if (!options.proxy.listen.empty() && !options.close) {
    auto started = proxy::start_beside(options.proxy, {}, *spdlog::default_logger());
    if (!started) return stop(started.error().kind == Error::Kind::unavailable ? exit_missing : exit_failed, started.error());
    proxy = std::move(*started);
  }
  if (const auto confined = confine(options); !confined) return stop(exit_failed, confined.error());
  if (!has_ipv6()) drop_ipv6(*file, screen);
  if (file->addresses.empty()) {
    return stop(exit_missing, failure("no_ipv6", "the file has only IPv6 addresses, and IPv6 is off on this machine",
                                      "sysctl -w net.ipv6.conf.all.disable_ipv6=0"));
  }
  options.inbound_only = options.inbound_only || file->inbound_only;
  auto plan = plan_of(options, *file, interface, screen);
  if (!plan) return tl::unexpected<Stop>(plan.error());
  if (auto taken = take_over(interface, note, screen); !taken) return taken;
  if (options.close) {
    if (!plan->stays) screen.note("nothing is closed: there is no kill switch in these options");
    if (!plan->stays) return {};
    const auto applied = Routing(interface, note).apply(*plan);
    if (!applied) return stop(exit_failed, applied.error());
    leave_word(word_path(note), "it was closed by drpf connect --close");
    return show_status(options, interface, screen);
  }
  Connection connection(options, std::move(*file), std::move(*plan), screen, note, std::move(*programs));
  const auto error = connection.run();
  if (!error) return {};
  return stop(error->kind == Error::Kind::unavailable ? exit_missing : exit_failed, *error);
}

// An end that nobody asked for opens nothing, and says so.
void tell_what_stays(const ConnectOptions& options, const std::string& interface, Screen& screen) {
  const auto state = look_at_closed_state(interface, note_path(options, interface));
  if (state && state->any() && !state->process) screen.note(closed_sentence(*state));
}

}  // namespace

int connect(const ConnectOptions& options) {
  system::hold_standard_streams();
  const auto log = system::make_log({.level = options.log_level, .program = "drpf connect"});
  Screen screen(options.json, options.log_level);
  const auto interface = interface_of(options);
  const auto result = !interface       ? OrStop<void>(tl::unexpected<Stop>(interface.error()))
                      : options.status ? show_status(options, *interface, screen)
                                       : run(options, *interface, screen);
  if (result) return 0;
  screen.error(result.error().error);
  if (interface) tell_what_stays(options, *interface, screen);
  return result.error().code;
}

}  // namespace drpf::client
