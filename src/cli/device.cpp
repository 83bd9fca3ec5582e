// `drpf device ...`
#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include "cli/command_line.h"
#include "net/http_message.h"
#include "system/secret_file.h"
#include "terminal/qr_code.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

struct DeviceOptions : AdminOptions {
  std::string account;
  std::string name;
  std::string public_key;
  std::string endpoint;
  std::string file;
  bool openvpn = false;
  bool qr = false;
  bool inbound_only = false;

  api_client::AdminClient gateway() const { return api_client::AdminClient(socket); }
  std::string target() const { return "/v1/devices/" + net::percent_encode(name); }
  std::string config_target() const {
    std::string query = inbound_only ? "?inbound_only=1" : "";
    if (openvpn) query += (query.empty() ? "?kind=" : "&kind=") + std::string("openvpn");
    if (!endpoint.empty()) query += (query.empty() ? "?" : "&") + ("endpoint=" + net::percent_encode(endpoint));
    return target() + "/config" + query;
  }
};

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::string_view units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

const json::object* refusal_of(const json::value& device) {
  const auto* refused = device.as_object().if_contains("refused");
  return refused == nullptr ? nullptr : refused->if_object();
}

std::string device_state(const json::value& device) {
  if (api_client::flag_of(device, "connected")) return "connected";
  return refusal_of(device) == nullptr ? "away" : "refused";
}

terminal::Colour state_colour(const std::string& state) {
  if (state == "connected") return terminal::Colour::green;
  return state == "refused" ? terminal::Colour::red : terminal::Colour::dim;
}

std::string devices_table(const json::value& devices) {
  terminal::Table table({"DEVICE", "ACCOUNT", "STATE", "TUNNEL ADDRESS", "ENDPOINT", "LAST HANDSHAKE", "RECEIVED", "SENT"});
  std::string why;
  for (const auto& device : devices.as_array()) {
    if (const auto* refused = refusal_of(device))
      why += fmt::format("{} does not get in: {}\n  {}\n", api_client::text_of(device, "name"), api_client::text_of(*refused, "message"),
                         api_client::text_of(*refused, "cure"));
    table.add({{api_client::text_of(device, "name")},
               {api_client::text_of(device, "account")},
               {device_state(device), state_colour(device_state(device))},
               {api_client::text_of(device, "tunnel_v4")},
               {api_client::text_of(device, "endpoint")},
               {api_client::text_of(device, "last_handshake")},
               {bytes_text(api_client::number_of(device, "bytes_received")), terminal::Colour::plain, true},
               {bytes_text(api_client::number_of(device, "bytes_sent")), terminal::Colour::plain, true}});
  }
  if (table.empty()) return "no devices yet; add one: drpf device add ACCOUNT DEVICE\n";
  return table.text(terminal::standard_output_has_colour()) + why;
}

std::string device_page(const json::value& device) {
  const auto or_none = [](const std::string& text) { return text.empty() ? std::string("none") : text; };
  const auto* refused = refusal_of(device);
  const auto why = refused == nullptr
                       ? std::string()
                       : fmt::format("does not get in {}, {}\n                {}\n", api_client::text_of(*refused, "message"),
                                     api_client::text_of(*refused, "at"), api_client::text_of(*refused, "cure"));
  return why +
         fmt::format(
             "device          {}\naccount         {}\nstate           {}\ntunnel          {}\ntunnel (IPv6)   {}\npublic key      {}\n"
             "endpoint        {}\nlast handshake  {}\nreceived        {}\nsent            {}\n",
             api_client::text_of(device, "name"), api_client::text_of(device, "account"), device_state(device),
             api_client::text_of(device, "tunnel_v4"), or_none(api_client::text_of(device, "tunnel_v6")),
             api_client::text_of(device, "public_key"), or_none(api_client::text_of(device, "endpoint")),
             or_none(api_client::text_of(device, "last_handshake")), bytes_text(api_client::number_of(device, "bytes_received")),
             bytes_text(api_client::number_of(device, "bytes_sent")));
}

void declare_device_name(CLI::App& command, DeviceOptions& options) {
  command.add_option("device", options.name, "The device's name")->required()->type_name("DEVICE");
  add_admin_options(command, options);
}

void declare_config(CLI::App& command, DeviceOptions& options) {
  command.add_flag("--qr", options.qr, "Print it as a QR code, for the WireGuard app of a phone");
  command.add_flag("--openvpn", options.openvpn, "Print a file for OpenVPN (.ovpn) instead, with everything in it");
  command.add_flag("--inbound-only", options.inbound_only,
                   "For Linux devices that keep their own default route: only answers to visitors use the tunnel");
  command.add_option("--endpoint", options.endpoint, "Host name or address that the device connects to (default: the gateway's)")
      ->type_name("HOST");
  command.add_option("--out", options.file, "Write it to this new file, which only you can read")->type_name("FILE");
}

// The configuration, and nothing else, goes where it was asked to go.
int deliver(const std::string& config, const DeviceOptions& options, SecretFile* file) {
  std::string text = config;
  if (options.qr) {
    auto code = terminal::qr_code(config);
    if (!code) return terminal::report(code.error());
    text = std::move(*code);
  }
  if (!file) return terminal::print(text);
  if (const auto written = file->write(config); !written) return terminal::report(written.error());
  terminal::remark("the configuration is in " + options.file);
  return options.qr ? terminal::print(text) : terminal::exit_ok;
}

// The file comes first: if it cannot be, nothing has happened yet.
Result<std::optional<SecretFile>> create_file(const DeviceOptions& options) {
  if (options.file.empty()) return std::nullopt;
  auto file = SecretFile::create(options.file);
  if (!file) return fail(file.error());
  return std::optional<SecretFile>(std::move(*file));
}

int config(const DeviceOptions& options) {
  auto file = create_file(options);
  if (!file) return terminal::report(file.error());
  const auto answer = options.gateway().get(options.config_target());
  if (!answer) return terminal::report(answer.error());
  if (options.json && !*file) return terminal::print(json::serialize(*answer) + "\n");
  return deliver(api_client::lines_of(*answer, "config"), options, *file ? &**file : nullptr);
}

int add_device(const DeviceOptions& options) {
  auto file = create_file(options);
  if (!file) return terminal::report(file.error());
  const auto gateway = options.gateway();
  json::object body{{"account", options.account}, {"name", options.name}};
  if (!options.public_key.empty()) body["public_key"] = options.public_key;
  const auto device = gateway.post("/v1/devices", body);
  if (!device) return terminal::report(device.error());
  const auto answer = gateway.get(options.config_target());
  if (!answer) {
    terminal::remark("device " + options.name + " was added, but its configuration could not be had; try `drpf device config " +
                     options.name + "`");
    return terminal::report(answer.error());
  }
  if (options.json) {
    json::object whole{{"device", *device}, {"config", api_client::lines_of(*answer, "config")}};
    if (*file)
      if (const auto written = (*file)->write(api_client::lines_of(*answer, "config")); !written) return terminal::report(written.error());
    return terminal::print(json::serialize(whole) + "\n");
  }
  terminal::remark("device " + options.name + " added to account " + options.account + ", tunnel address " +
                   api_client::text_of(*device, "tunnel_v4"));
  return deliver(api_client::lines_of(*answer, "config"), options, *file ? &**file : nullptr);
}

int remove_device(const DeviceOptions& options) {
  return print_answer(options.gateway().remove(options.target()), options.json,
                      [&](const json::value&) { return fmt::format("device {} removed; its ports are closed\n", options.name); });
}

int forget_clock(const DeviceOptions& options) {
  return print_answer(options.gateway().post(options.target() + "/forget-clock", json::object{}), options.json, [&](const json::value&) {
    return fmt::format("device {} is let in again, whatever time its clock has said before\n", options.name);
  });
}

}  // namespace

void add_device_commands(CLI::App& root, CommandLine& line) {
  auto& group = *root.add_subcommand("device", "Devices: machines that connect by WireGuard or OpenVPN");
  group.require_subcommand(1);
  group.footer("Example:\n  drpf device add ann laptop > laptop.conf");
  add_command<DeviceOptions>(
      group, line, "add", "Add a device and print its wg-quick configuration", "drpf device add ann laptop --out laptop.conf",
      [](CLI::App& command, DeviceOptions& options) {
        command.add_option("account", options.account, "The account that it belongs to")->required()->type_name("ACCOUNT");
        declare_device_name(command, options);
        command.add_option("--public-key", options.public_key, "The device's own key, if its private key is to stay with it")
            ->type_name("KEY");
        declare_config(command, options);
      },
      add_device);
  add_command<DeviceOptions>(
      group, line, "list", "List all devices", "drpf device list",
      [](CLI::App& command, DeviceOptions& options) { add_admin_options(command, options); },
      [](const DeviceOptions& options) { return print_answer(options.gateway().get("/v1/devices"), options.json, devices_table); });
  add_command<DeviceOptions>(
      group, line, "show", "Show one device", "drpf device show laptop --json", declare_device_name,
      [](const DeviceOptions& options) { return print_answer(options.gateway().get(options.target()), options.json, device_page); });
  add_command<DeviceOptions>(
      group, line, "config", "Print a device's wg-quick configuration again", "drpf device config phone --qr",
      [](CLI::App& command, DeviceOptions& options) {
        declare_device_name(command, options);
        declare_config(command, options);
      },
      config);
  add_command<DeviceOptions>(group, line, "forget-clock", "Let a device in again whose clock was ahead once",
                             "drpf device forget-clock laptop", declare_device_name, forget_clock);
  add_command<DeviceOptions>(group, line, "remove", "Remove a device; its ports close at once", "drpf device remove laptop",
                             declare_device_name, remove_device);
}

}  // namespace drpf::cli
