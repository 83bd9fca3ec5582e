#include "terminal/port_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/json_text.h"
#include "registry/name_in_text.h"
#include "registry/name_order.h"
#include "registry/port_query.h"
#include "terminal/terminal.h"

namespace drpf::terminal {
namespace {

namespace json = boost::json;
using registry::Exposure;
using registry::Service;

std::string range_text(Port port) {
  const auto port_class = registry::class_of(port);
  return fmt::format("{} range {}", to_string(port_class), to_string(registry::range_of(port_class)));
}

std::string place_of(const PortAnswer& answer) {
  std::vector<std::string_view> transports;
  for (const auto one : answer.transports) transports.push_back(to_string(one));
  return fmt::format("{}/{}", to_string(answer.service.ports), fmt::join(transports, ","));
}

std::string source_text(const Service& service) {
  if (service.source == registry::source_iana) return fmt::format("IANA's registry ({})", registry::iana_state);
  if (service.source == registry::source_own)
    return service.registered.empty() ? "drpf; IANA's registry has nothing here" : "drpf; common use";
  return std::string(service.source);
}

std::string by_habit(const Service& service) { return service.habit.empty() ? std::string() : fmt::format("By habit: {}.", service.habit); }

std::string purpose_of(const Service& service) {
  // Who gave the port a name of his own knows better.
  const bool own_name = service.source != registry::services_path && registry::compare_names(service.name, service.registered) != 0;
  if (!service.comment.empty() && own_name) return std::string(service.comment);
  if (service.about) return std::string(service.about->purpose);
  if (!service.comment.empty()) return std::string(service.comment);
  return by_habit(service);
}

std::string name_shown(const Service& service) { return std::string(service.name.empty() ? "unassigned" : service.name); }

bool says_all(const Service& service, std::string_view purpose) {
  const auto names = registry::names_in(service.habit);
  return std::all_of(names.begin(), names.end(),
                     [&](std::string_view name) { return registry::has_words(purpose, name) || registry::has_words(service.name, name); });
}

void add_line(std::string& text, std::string_view label, std::string_view what, Colour colour = Colour::plain) {
  if (what.empty() && label != "keep closed") return;
  text += fmt::format("  {} {}\n", coloured(fmt::format("{:<14}", label), colour), api::printable(what));
}

void add_exposure(std::string& text, const registry::WellKnown& about) {
  switch (about.exposure) {
    case Exposure::ordinary:
      return add_line(text, "note", about.warning);
    case Exposure::careful:
      return add_line(text, "take care", about.warning, Colour::yellow);
    case Exposure::closed:
      return add_line(text, "keep closed", about.warning, Colour::red);
  }
}

json::value text_or_null(std::string_view text) { return text.empty() ? json::value(nullptr) : json::value(std::string(text)); }

// The next number of a run that has no name and the same habit.
bool goes_on(const PortAnswer& known, const Service& service) {
  return service.name.empty() && known.service.name.empty() && known.service.habit == service.habit &&
         known.transports == std::vector{service.transport} && known.service.ports.last().value() + 1 == service.ports.first().value() &&
         registry::class_of(known.service.ports.first()) == registry::class_of(service.ports.first());
}

}  // namespace

std::vector<PortAnswer> gather(const registry::PortRegistry& names, std::span<const Service> services) {
  std::vector<PortAnswer> answers;
  for (const auto& service : services) {
    const auto same = [&](const PortAnswer& known) {
      return known.service.ports == service.ports && known.service.name == service.name && known.service.about == service.about &&
             known.service.source == service.source && known.service.comment == service.comment && known.service.habit == service.habit;
    };
    if (const auto before = std::find_if(answers.begin(), answers.end(), [&](const PortAnswer& known) { return goes_on(known, service); });
        before != answers.end()) {
      before->service.ports = PortRange(before->service.ports.first(), service.ports.last());
      continue;
    }
    if (const auto known = std::find_if(answers.begin(), answers.end(), same); known != answers.end()) {
      known->transports.push_back(service.transport);
      continue;
    }
    PortAnswer answer{service, {service.transport}, {}};
    for (const auto name : names.names_of(service.ports.first(), service.transport)) answer.names.emplace_back(name);
    answers.push_back(std::move(answer));
  }
  return answers;
}

std::string as_cards(std::span<const PortAnswer> answers) {
  std::string text;
  for (const auto& answer : answers) {
    const auto& service = answer.service;
    text += fmt::format("{}  {}\n", coloured(place_of(answer), Colour::bold), coloured(api::printable(name_shown(service)), Colour::bold));
    const auto purpose = purpose_of(service);
    add_line(text, "purpose", purpose);
    // Where the purpose is another's or says less.
    if (const auto habit = by_habit(service); purpose != habit && !says_all(service, purpose)) add_line(text, "by habit", service.habit);
    if (service.about) {
      add_exposure(text, *service.about);
      add_line(text, "better", service.about->successor);
      add_line(text, "opens", service.about->more_ports);
    }
    auto further = answer.names;
    std::erase_if(further, [&](const std::string& name) { return registry::compare_names(name, service.name) == 0; });
    add_line(text, "also called", fmt::format("{}", fmt::join(further, ", ")));
    if (!service.registered.empty() && registry::compare_names(service.registered, service.name) != 0)
      add_line(text, "registered as", service.registered);
    add_line(text, "range", range_text(service.ports.first()));
    add_line(text, "source", source_text(service));
  }
  return text;
}

std::string as_table(std::span<const PortAnswer> answers) {
  Table table({"PORT", "SERVICE", "RANGE", "PURPOSE"});
  for (const auto& answer : answers) {
    const bool closed = answer.service.about && answer.service.about->exposure == Exposure::closed;
    table.add({{place_of(answer)},
               {name_shown(answer.service), closed ? Colour::red : Colour::plain},
               {std::string(to_string(registry::class_of(answer.service.ports.first())))},
               {std::string(purpose_of(answer.service))}});
  }
  return table.text(standard_output_has_colour());
}

std::string as_unassigned(std::span<const Port> ports) {
  std::string text;
  while (!ports.empty()) {
    // As far as the numbers follow each other and the same is to be said.
    const auto first = ports.front();
    const auto goes_on = [&](std::size_t i) {
      return ports[i].value() == ports[i - 1].value() + 1 && registry::class_of(ports[i]) == registry::class_of(first) && !first.is_zero();
    };
    std::size_t count = 1;
    while (count < ports.size() && goes_on(count)) ++count;
    const auto name = coloured(to_string(PortRange(first, ports[count - 1])), Colour::bold);
    text += first.is_zero() ? fmt::format("{}  {}\n", name, registry::meaning_of_zero)
                            : fmt::format("{}  unassigned, {}: {}.\n", name, range_text(first), meaning_of(registry::class_of(first)));
    ports = ports.subspan(count);
  }
  return text;
}

json::array as_json(const registry::PortRegistry& names, std::span<const Service> services) {
  json::array out;
  for (const auto& service : services) {
    json::array all_names;
    for (const auto name : names.names_of(service.ports.first(), service.transport)) all_names.emplace_back(std::string(name));
    json::object one;
    one["port"] = service.ports.first().value();
    one["last_port"] = service.ports.last().value();
    one["protocol"] = std::string(to_string(service.transport));
    one["assigned"] = !service.registered.empty();
    one["name"] = text_or_null(service.name);
    one["names"] = std::move(all_names);
    one["source"] = std::string(service.source);
    one["registered"] = text_or_null(service.registered);
    one["range"] = std::string(to_string(registry::class_of(service.ports.first())));
    one["purpose"] = text_or_null(purpose_of(service));
    one["habit"] = text_or_null(service.habit);
    const auto* about = service.about;
    one["category"] = about ? text_or_null(to_string(about->category)) : json::value(nullptr);
    one["exposure"] = about ? text_or_null(to_string(about->exposure)) : json::value(nullptr);
    one["risk"] = about ? text_or_null(about->warning) : json::value(nullptr);
    one["successor"] = about ? text_or_null(about->successor) : json::value(nullptr);
    one["more_ports"] = about ? text_or_null(about->more_ports) : json::value(nullptr);
    out.push_back(std::move(one));
  }
  return out;
}

json::object unassigned_as_json(Port port) {
  json::object one;
  one["port"] = port.value();
  one["last_port"] = port.value();
  one["protocol"] = nullptr;
  one["assigned"] = false;
  one["name"] = nullptr;
  one["names"] = json::array{};
  one["source"] = nullptr;
  one["registered"] = nullptr;
  one["range"] = std::string(to_string(registry::class_of(port)));
  one["purpose"] = text_or_null(port.is_zero() ? registry::meaning_of_zero : std::string_view());
  for (const auto* name : {"habit", "category", "exposure", "risk", "successor", "more_ports"}) one[name] = nullptr;
  return one;
}

}  // namespace drpf::terminal
