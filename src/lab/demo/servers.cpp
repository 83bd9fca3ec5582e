#include "lab/demo/servers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/stage/sockets.h"
#include "lab/stage/stage.h"

namespace drpf::lab::demo {
namespace {

using Steady = std::chrono::steady_clock;

std::string log_of(const std::string& server) { return fmt::format("{}/{}.log", stage_folder, server); }

// A folder that the server owns. In a user namespace there is only one owner anyway, and chown is refused.
Result<std::string> make_folder(const std::string& name, const std::vector<std::string>& inner, bool user_namespace) {
  std::string folder = fmt::format("{}/{}", stage_folder, name);
  std::vector<std::string> paths = {folder};
  for (const std::string& path : inner) paths.push_back(fmt::format("{}/{}", folder, path));
  for (const std::string& path : paths) {
    // A server that is started again finds its folder there.
    if ((::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) || (!user_namespace && ::chown(path.c_str(), nobody, nobody) != 0)) {
      return fail(failure("mkdir", fmt::format("cannot make the folder {}", path)));
    }
  }
  return folder;
}

Status write_file(const std::string& path, const std::string& text, bool user_namespace) {
  std::ofstream file(path, std::ios::trunc | std::ios::binary);
  if (!(file << text << std::flush)) return fail(failure("write", fmt::format("cannot write {}", path)));
  if (!user_namespace && ::chown(path.c_str(), nobody, nobody) != 0)
    return fail(failure("chown", fmt::format("cannot give {} to nobody", path)));
  return {};
}

constexpr const char* nginx_configuration = R"(daemon off;
worker_processes 1;
pid {0}/nginx.pid;
error_log {0}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {0}/body;
  proxy_temp_path {0}/proxy;
  fastcgi_temp_path {0}/fastcgi;
  uwsgi_temp_path {0}/uwsgi;
  scgi_temp_path {0}/scgi;
  server {{
    listen {2};
    {3}
    root {0}/www;
    location / {{ default_type text/plain; return 200 "{1} saw $remote_addr\n"; }}
    location = /stream {{ default_type application/octet-stream; }}
  }}
}}
)";

// Dovecot without root: everything that it would drop to, or lock itself into, is where and who it is already.
constexpr const char* dovecot_configuration = R"(base_dir = {0}/base
state_dir = {0}/state
log_path = {0}/dovecot.log
protocols = pop3
listen = *, [::]
ssl = no
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
first_valid_uid = 1
first_valid_gid = 1
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = 110
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
)";

// One mailbox for whoever knows the password, as Dovecot up to 2.3 is told (Debian 12).
constexpr const char* dovecot_mailbox_before_2_4 = R"(disable_plaintext_auth = no
mail_location = maildir:{0}/mail
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={0}
}}
)";

// The same for later ones, which want to know first whose words they read (Debian 13).
constexpr const char* dovecot_head_since_2_4 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n";
constexpr const char* dovecot_mailbox_since_2_4 = R"(auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {0}/mail
passdb static {{
  password = secret
}}
userdb static {{
  fields {{
    uid = 65534
    gid = 65534
    home = {0}
  }}
}}
)";

Result<std::string> dovecot_configuration_for(const Machine& machine, const std::string& folder) {
  const Result<std::string> version = machine.run({"dovecot", "--version"});
  if (!version) return fail(version.error());
  const bool before_2_4 = version->starts_with("2.3.") || version->starts_with("2.2.");
  return before_2_4 ? fmt::format(dovecot_configuration, folder) + fmt::format(dovecot_mailbox_before_2_4, folder)
                    : dovecot_head_since_2_4 + fmt::format(dovecot_configuration, folder) + fmt::format(dovecot_mailbox_since_2_4, folder);
}

}  // namespace

std::string stream_content() {
  std::string content(stream_bytes, '\0');
  std::uint64_t state = 0x9e3779b97f4a7c15;  // xorshift64: no part equals another, so a lost or repeated piece shows
  for (std::size_t i = 0; i < content.size(); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    content[i] = static_cast<char>(state);
  }
  return content;
}

Result<system::Process> start_http(const Machine& machine, const std::string& name, Port port, bool user_namespace) {
  const Result<std::string> folder = make_folder(fmt::format("nginx-{}", port.value()), {"www"}, user_namespace);
  if (!folder) return fail(folder.error());
  const bool has_v6 = ::access("/proc/sys/net/ipv6", F_OK) == 0;
  const std::string listen_v6 = has_v6 ? fmt::format("listen [::]:{};", port.value()) : "";
  const std::string configuration = fmt::format(nginx_configuration, *folder, name, port.value(), listen_v6);
  if (const Status written = write_file(*folder + "/nginx.conf", configuration, user_namespace); !written) return fail(written.error());
  if (const Status written = write_file(*folder + "/www/stream", stream_content(), user_namespace); !written) return fail(written.error());
  system::Command command =
      machine.server({"nginx", "-p", *folder, "-e", *folder + "/error.log", "-c", *folder + "/nginx.conf"}, user_namespace);
  command.log_path = log_of("nginx");
  return system::Process::start(command);
}

Result<system::Process> start_udp_echo(const Machine& machine, Port port, bool user_namespace) {
  // socat tells its child who sent the datagram; what the child prints is the answer.
  system::Command command =
      machine.server({"socat", fmt::format("UDP4-RECVFROM:{},fork", port.value()), "SYSTEM:echo $SOCAT_PEERADDR $(cat)"}, user_namespace);
  command.log_path = log_of("socat");
  return system::Process::start(command);
}

Result<system::Process> start_pop3(const Machine& machine, bool user_namespace) {
  const Result<std::string> folder = make_folder("dovecot", {"base", "state", "mail", "mail/new", "mail/cur", "mail/tmp"}, user_namespace);
  if (!folder) return fail(folder.error());
  const std::string mail =
      fmt::format("From: demo@example.org\r\nTo: home@example.org\r\nSubject: {}\r\n\r\nThis mail lies behind a NAT.\r\n", mail_subject);
  if (const Status written = write_file(*folder + "/mail/new/1.demo", mail, user_namespace); !written) return fail(written.error());
  const Result<std::string> configuration = dovecot_configuration_for(machine, *folder);
  if (!configuration) return fail(configuration.error());
  if (const Status written = write_file(*folder + "/dovecot.conf", *configuration, user_namespace); !written) return fail(written.error());
  system::Command command = machine.server({"dovecot", "-F", "-c", *folder + "/dovecot.conf"}, user_namespace);
  command.log_path = log_of("dovecot");
  return system::Process::start(command);
}

Result<system::Process> start_private_service(const Machine& machine, Port port) {
  system::Command command =
      machine.command({"socat", fmt::format("TCP6-LISTEN:{},ipv6only=0,fork,reuseaddr", port.value()), "SYSTEM:echo private"});
  command.log_path = log_of("socat");
  return system::Process::start(command);
}

Status await_listening(const Machine& machine, Port port) {
  const Address loopback = Address::v4(0x7f000001);
  for (const Steady::time_point deadline = Steady::now() + limits::server_start; Steady::now() < deadline;
       std::this_thread::sleep_for(limits::poll_interval)) {
    const Result<system::Fd> socket = machine.open_socket(AF_INET, SOCK_STREAM, 0);
    if (!socket) return fail(socket.error());
    if (try_connect(*socket, {loopback, port}, limits::silence) == Reach::open) return {};
  }
  return fail(failure("server", fmt::format("nothing listens on port {} of {} after {:.0f} s", port.value(), machine.name(),
                                            std::chrono::duration<double>(limits::server_start).count())));
}

}  // namespace drpf::lab::demo
