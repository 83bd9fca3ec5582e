// `drpf proxy`
#include "proxy/run.h"

#include "cli/command_line.h"
#include "configuration/configuration_file.h"

namespace drpf::cli {
namespace {

struct ProxyOptions {
  std::string config;
  std::vector<std::string> listen;
  std::vector<std::string> allow;
  std::vector<std::string> reach_private;
  std::vector<std::string> connect_ports;
  std::string bind_on;
  std::string access_log;
  std::string log = "text";
  unsigned answer_timeout_s = 0;  // 0 = as the settings have it
  bool udp = false;
  bool print_settings = false;
  system::LogLevel level = system::LogLevel::info;
};

// Each text becomes one more; what the command line says stands instead of what the file says.
template <class Value, class Parse>
Status take_all(const std::vector<std::string>& texts, Parse parse, std::vector<Value>& to) {
  if (!texts.empty()) to.clear();
  for (const auto& text : texts) {
    auto value = parse(text);
    if (!value) return fail(wrong_usage(value.error().message, value.error().cure));
    to.push_back(*value);
  }
  return {};
}

Result<proxy::Settings> settings_of(const ProxyOptions& options) {
  proxy::Settings settings;
  if (!options.config.empty()) {
    auto configuration = configuration::read_configuration_file(options.config);
    if (!configuration) return fail(configuration.error());
    settings = std::move(configuration->proxy);
  }
  for (const auto& taken :
       {take_all(options.listen, parse_endpoint, settings.listen), take_all(options.allow, parse_prefix, settings.allow),
        take_all(options.reach_private, parse_prefix, settings.reach_private),
        take_all(options.connect_ports, parse_port, settings.connect_ports)})
    if (!taken) return fail(taken.error());
  if (!options.bind_on.empty()) {
    const auto address = parse_address(options.bind_on);
    if (!address) return fail(wrong_usage(address.error().message, address.error().cure));
    settings.bind_on = *address;
  }
  if (!options.access_log.empty()) settings.access_log = options.access_log;
  if (options.answer_timeout_s != 0) settings.answer_timeout = std::chrono::seconds(options.answer_timeout_s);
  settings.udp = settings.udp || options.udp;
  return settings;
}

}  // namespace

void add_proxy_command(CLI::App& root, CommandLine& line) {
  add_command<ProxyOptions>(
      root, line, "proxy", "Share this machine's connection with its network: HTTP and SOCKS on one port",
      "drpf proxy --listen 192.168.7.1:3128\n  drpf proxy --listen 192.168.7.1:3128 --print-settings",
      [](CLI::App& command, ProxyOptions& options) {
        command.add_option("--config", options.config, "Read [proxy] of this configuration")->type_name("FILE");
        command.add_option("--listen", options.listen, "Listen on this private address; may be given several times")
            ->type_name("ADDRESS:PORT")
            ->allow_extra_args(false);
        command.add_option("--allow", options.allow, "Who may use it (default: the networks of the addresses that it listens on)")
            ->type_name("PREFIX")
            ->allow_extra_args(false);
        command
            .add_option("--reach-private", options.reach_private,
                        "What may be reached beyond public addresses: a private network; this host by its exact address")
            ->type_name("PREFIX")
            ->allow_extra_args(false);
        command.add_option("--connect-port", options.connect_ports, "What CONNECT may reach (default: 443, 563, 8443)")
            ->type_name("PORT")
            ->allow_extra_args(false);
        command.add_flag("--udp", options.udp, "Carry UDP for programs that ask by SOCKS 5 (UDP ASSOCIATE)");
        command.add_option("--bind-on", options.bind_on, "Let programs listen by SOCKS (BIND), on this address")->type_name("ADDRESS");
        command.add_option("--access-log", options.access_log, "Write a line for each request, as squid does")->type_name("FILE");
        command.add_option("--answer-timeout", options.answer_timeout_s, "How long a server may take to answer (default: 120)")
            ->type_name("SECONDS")
            ->check(CLI::Range(1U, 3600U));
        command.add_flag("--print-settings", options.print_settings, "Only say what to enter in which program");
        command.add_option("--log", options.log, "How the log on standard error is written")
            ->type_name("json|text")
            ->check(CLI::IsMember({"json", "text"}));
        add_log_level_option(command, options.level);
      },
      [](const ProxyOptions& options) {
        const auto settings = settings_of(options);
        if (!settings) return static_cast<int>(terminal::report(settings.error()));
        if (options.print_settings) return proxy::print_settings(*settings);
        system::LogOptions log;
        log.level = options.level;
        log.json = options.log == "json";
        return proxy::run(*settings, log);
      });
}

}  // namespace drpf::cli
