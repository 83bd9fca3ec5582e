#include "scan/own/lease_diagnosis.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "scan/ask/udp_payloads.h"

namespace drpf::scan {
namespace {

constexpr std::array words{"answers",           "nobody_listens", "rejected_by_device", "dropped_by_device", "silent",
                           "no_way_back",       "not_answered",   "not_visited",        "tunnel_silent",     "tunnel_down",
                           "account_suspended", "lease_ended",    "lease_unknown",      "rule_missing",      "blocked_on_gateway",
                           "gone_astray",       "no_statement"};

// "12:04 UTC", with the day where it is another one.
std::string clock_text(WallTime at, WallTime now) {
  using namespace std::chrono;
  const auto day = floor<days>(at);
  const hh_mm_ss time(floor<seconds>(at - day));
  auto text = fmt::format("{:02}:{:02}:{:02} UTC", time.hours().count(), time.minutes().count(), time.seconds().count());
  if (day != floor<days>(now)) {
    const year_month_day date(day);
    text += fmt::format(" on {}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                        static_cast<unsigned>(date.day()));
  }
  return text;
}

std::string visit_time_text(Duration duration) {
  return fmt::format("{:.1f} ms", std::chrono::duration<double, std::milli>(duration).count());
}

std::string count_text(std::uint64_t count, std::string_view one) { return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s"); }

class Doctor {
 public:
  explicit Doctor(const LeaseEvidence& evidence)
      : e_(evidence), port_(fmt::format("port {}/{}", to_string(evidence.public_side.port), to_string(evidence.protocol))) {
    family_ = e_.public_side.address.is_v6() ? "IPv6" : "IPv4";
    if (e_.holder) device_ = fmt::format("the device {}", e_.holder->device);
    if (e_.holder) local_ = fmt::format("{} port {}", e_.protocol == Protocol::tcp ? "TCP" : "UDP", to_string(e_.holder->at.port));
  }

  Diagnosis diagnose() const {
    if (!e_.holder) return without_lease();
    if (e_.suspended)
      return {Finding::account_suspended,
              fmt::format("The account {} is suspended, so {} of {} leads nowhere.", e_.holder->account, port_, device_),
              fmt::format("If it may serve again: drpf account set {} --resume", e_.holder->account)};
    if (!e_.connected || !e_.active) return away();
    if (e_.rules != LeaseEvidence::Rules::standing) return rules_missing();
    return e_.visit ? visited() : passive();
  }

 private:
  Diagnosis without_lease() const {
    if (!e_.leasable)
      return {Finding::lease_unknown, fmt::format("There is no lease on {}, and there can be none: it is not in the pool.", port_),
              "See `drpf lease list` for the ports that lead somewhere, and [ports] pool for those that can."};
    if (e_.before && e_.before->until)
      return {
          Finding::lease_ended,
          fmt::format("The lease of {} has ended: it led to the device {} (account {}) until {}.", port_, e_.before->device,
                      e_.before->account, clock_text(*e_.before->until, e_.now)),
          fmt::format("Lease it again: drpf lease add {} {}/{}; or let the program ask for it again, which must renew what it asked for.",
                      e_.before->device, to_string(e_.public_side.port), to_string(e_.protocol))};
    return {Finding::lease_unknown, fmt::format("There is no lease on {}, and none is remembered.", port_),
            fmt::format("See `drpf lease list`; to lease it: drpf lease add DEVICE {}/{}", to_string(e_.public_side.port),
                        to_string(e_.protocol))};
  }

  Diagnosis away() const {
    std::string since;
    if (e_.before && e_.before->until && e_.before->device == e_.holder->device)
      since = " since " + clock_text(*e_.before->until, e_.now);
    else if (e_.last_handshake)
      since = fmt::format("; its last handshake was at {}", clock_text(*e_.last_handshake, e_.now));
    else
      since = " and has not been since it was added, or since the gateway began to remember";
    if (e_.connected)
      return {Finding::tunnel_down, fmt::format("{} is held for {}, which is connected, but it is not open.", capital(port_), device_),
              "See `drpf status` and the gateway's log for what keeps it closed."};
    return {Finding::tunnel_down,
            fmt::format("The tunnel is down: {} is not connected{}; {} is kept for it and leads nowhere meanwhile.", device_, since, port_),
            "Start the tunnel on the device (drpf connect, or its WireGuard program), and see that it reaches the gateway's UDP port."};
  }

  Diagnosis rules_missing() const {
    if (e_.rules == LeaseEvidence::Rules::lost)
      return {
          Finding::rule_missing,
          "The gateway's rule set (nftables table inet drpf) is gone or not as it was left; nothing is forwarded until it is put right.",
          "The gateway puts it back by itself; if it does not, `drpf status` and its log say why, and who may have removed it."};
    return {Finding::rule_missing, fmt::format("The rule that leads {} to {} is missing in the kernel.", port_, device_),
            "The gateway puts it back within seconds; if it does not, its log says why, and `drpf check` who works against it."};
  }

  Diagnosis visited() const {
    const auto& visit = *e_.visit;
    if (e_.led_to && *e_.led_to != e_.holder->at) return astray();
    switch (visit.cause) {
      case Cause::syn_ack:
      case Cause::split_handshake:
      case Cause::udp_response:
        return {Finding::answers,
                fmt::format("Open: the program on {} answers at {} within {}.", device_, local_,
                            visit_time_text(visit.rtt.value_or(Duration{}))),
                ""};
      case Cause::reset:
      case Cause::connection_refused:
        if (!e_.tunnel_sent) return blocked("with a reset that is not the device's");
        return nobody_listens("a reset");
      case Cause::port_unreach:
        if (visit.sender || !e_.led_to) return blocked(reason_text(visit));
        if (e_.protocol == Protocol::udp) return nobody_listens("port unreachable");
        return rejected();
      case Cause::no_response:
        return silence();
      case Cause::none:
      case Cause::local_error:
        return {Finding::no_statement,
                fmt::format("Nothing can be said of {}: the visit could not be made ({}).", port_, reason_text(visit)),
                "Try again; if it stays so, see the gateway's log."};
      default:
        if (visit.sender || !e_.led_to) return blocked(reason_text(visit));
        return rejected();
    }
  }

  Diagnosis nobody_listens(std::string_view answer) const {
    return {Finding::nobody_listens,
            fmt::format("Packets arrive at {}, and nothing listens there at {}: it answers with {}.", device_, local_, answer),
            fmt::format("Start the program, and let it listen at port {} on all addresses of the device (not on 127.0.0.1 or its LAN "
                        "address alone); if it listens at another port: drpf lease set {}/{} --local PORT",
                        to_string(e_.holder->at.port), to_string(e_.public_side.port), to_string(e_.protocol))};
  }

  Diagnosis rejected() const {
    return {Finding::rejected_by_device,
            fmt::format("Packets arrive at {}, and its own firewall refuses them: it answers with {}.", device_, reason_text(*e_.visit)),
            allow()};
  }

  std::string allow() const {
    return fmt::format("Allow {} from everywhere on the tunnel's interface in the device's firewall (this visit came from {}).", local_,
                       to_string(e_.visitor));
  }

  Diagnosis blocked(std::string_view how) const {
    if (e_.answered > 0)
      return {Finding::answers,
              fmt::format("Open: the program on {} answers its visitors at {}: {} of {} that are remembered got an answer; a rule on this "
                          "gateway that is not drpf's stops our own visit ({}), so it lets only certain interfaces through.",
                          device_, local_, e_.answered, e_.connections, how),
              ""};
    return {Finding::blocked_on_gateway,
            fmt::format("A visit to {} does not get into the tunnel: a rule on this gateway that is not drpf's stops it ({}).", port_, how),
            "`drpf check` names other programs' rules on this host that drop what is forwarded (Docker, ufw, firewalld and others)."};
  }

  Diagnosis astray() const {
    return {Finding::gone_astray,
            fmt::format("A visit to {} is led to {} and not to {}: another program's rules on this gateway redirect it.", port_,
                        to_string(*e_.led_to), device_),
            "Look for other programs' redirects on this host: drpf check"};
  }

  Diagnosis silence() const {
    if (!e_.led_to) return blocked("without a word");
    if (!e_.tunnel_answered) return tunnel_unheard();
    if (e_.answered > 0 && e_.protocol == Protocol::udp) return answers_others();
    if (e_.answers_gateway == true) return answers_gateway_alone();
    if (e_.answers_elsewhere == true) return silent_here();
    if (e_.answers_other_family) return answers_other_family_alone();
    if (e_.answered > 0)
      return {
          Finding::dropped_by_device,
          fmt::format("{} let our visit go unanswered, while {} of {} others that are remembered got an answer: its firewall lets certain "
                      "addresses in.",
                      capital(device_), e_.answered, e_.connections),
          allow()};
    if (e_.answers_elsewhere == false && e_.protocol == Protocol::tcp)
      return {Finding::dropped_by_device,
              fmt::format("The tunnel works and the visit went into it, but nothing came back: the firewall of {} drops {} without a word, "
                          "for it is as silent where nobody listens.",
                          device_, local_),
              allow() +
                  " A device that answers by another way than its tunnel looks the same: compare its routes (drpf connect does it right)."};
    return unexplained_silence();
  }

  Diagnosis tunnel_unheard() const {
    const auto last = e_.last_handshake ? fmt::format("; its last handshake was at {}", clock_text(*e_.last_handshake, e_.now)) : "";
    if (!e_.tunnel_called)
      return {
          Finding::silent,
          fmt::format("The visit went into the tunnel, and nothing came back: {} either cannot be reached just now, or drops {} without a "
                      "word{}.",
                      device_, local_, last),
          "See that the device is on and online. " + allow()};
    return {Finding::tunnel_silent,
            fmt::format("The visit went into the tunnel, and {} is not heard, not even when it is called{}.", device_, last),
            "See that the device is on, awake and online; with keepalives (PersistentKeepalive = 25) its way in stays open."};
  }

  // It gets what visitors send, and what it answers goes astray; or it chooses whom it answers.
  Diagnosis answers_gateway_alone() const {
    const bool v6 = e_.public_side.address.is_v6();
    return {
        Finding::no_way_back,
        fmt::format("{} answers the gateway itself at {}, and strangers over {} not: it has no way back to them through its tunnel, or "
                    "its firewall lets in the tunnel's own addresses only.",
                    capital(device_), local_, family_),
        fmt::format("Give the tunnel all addresses (AllowedIPs = {}; drpf connect does it right). {}", v6 ? "::/0" : "0.0.0.0/0", allow())};
  }

  Diagnosis answers_other_family_alone() const {
    const bool v6 = e_.public_side.address.is_v6();
    return {Finding::no_way_back,
            fmt::format("Over {} nothing of {} comes back, and over {} it answers: its tunnel has no {} (address and AllowedIPs), or its "
                        "firewall drops all of {}.",
                        family_, device_, v6 ? "IPv4" : "IPv6", family_, family_),
            fmt::format("See that the device has its {} address of the tunnel and AllowedIPs = {} (drpf device config shows both). {}",
                        family_, v6 ? "::/0" : "0.0.0.0/0", allow())};
  }

  // The device answers at a port where nobody listens, so it is this port.
  Diagnosis silent_here() const {
    if (e_.protocol == Protocol::tcp)
      return {
          Finding::silent,
          fmt::format("{} answers at ports where nobody listens, and at {} it does not: the program there hangs (the queue of connections "
                      "that it has not taken is full), or a rule of the device's firewall drops this port.",
                      capital(device_), local_),
          fmt::format("See what the program does (on Linux `ss -ltn` shows the queue), and restart it if it hangs. If it does not: {}",
                      allow())};
    if (silent_by_design(e_.holder->at.port.value()))
      return {
          Finding::silent,
          fmt::format(
              "The tunnel works and the visit went into it, but nothing came back, which is how the service of {} answers everybody "
              "that it does not know; if nothing listened there, {} would have said so, as it does at other ports.",
              local_, device_),
          "Try it with a client that it knows: `drpf lease test --passive` then tells whether it was answered. If it was not: " + allow()};
    return {
        Finding::silent,
        fmt::format("The tunnel works and the visit went into it, but nothing came back: {} of {} either has a program that does not "
                    "answer strangers, or a firewall that drops them; a port where nothing listens would have been told, as others are.",
                    local_, device_),
        allow() + " If it is, try the program's own client: `drpf lease test --passive` then tells whether it was answered."};
  }

  Diagnosis unexplained_silence() const {
    const auto* const others = e_.protocol == Protocol::tcp
                                   ? "a program that hangs, a firewall that drops, or answers that go another way"
                                   : "a program that does not answer strangers, no program at all, or a firewall that drops";
    return {Finding::silent,
            fmt::format("The tunnel works and the visit went into it, but nothing came back from {} of {}{}: that may be {}.", local_,
                        device_, e_.answers_elsewhere == false ? ", and nothing from a port where nobody listens" : "", others),
            "See that the program runs and answers on the device itself. " + allow()};
  }

  Diagnosis answers_others() const {
    return {Finding::answers,
            fmt::format("Open: the program on {} answers its visitors at {}: {} of {} that are remembered got an answer.", device_, local_,
                        e_.answered, e_.connections),
            ""};
  }

  Diagnosis passive() const {
    if (e_.answered > 0) return answers_others();
    const auto why = e_.no_visit_reason.empty() ? std::string("no visit was made") : "no visit could be made: " + e_.no_visit_reason;
    if (e_.visits == 0)
      return {
          Finding::not_visited, fmt::format("Nobody has knocked at {} since it was opened ({}).", port_, why),
          "If somebody tried: his packets do not reach this gateway. See the address and the port that he uses, and what filters before "
          "this host (the provider's firewall, security groups)."};
    if (e_.connections == 0)
      return {Finding::not_answered,
              fmt::format("{} came to {} since it was opened, and none of them is remembered any more ({}).",
                          capital(count_text(e_.visits, "visit")), port_, why),
              "Try it with a visit: drpf lease test without --passive, or the program's own client from outside."};
    return {Finding::not_answered,
            fmt::format("{} came to {} since it was opened, and none of the {} that are remembered got an answer from {} ({}).",
                        capital(count_text(e_.visits, "visit")), port_, e_.connections, device_, why),
            fmt::format("See that the program runs and listens at {}, and that the device's firewall lets it be reached.", local_)};
  }

  static std::string capital(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
  }

  const LeaseEvidence& e_;
  std::string port_;
  std::string device_;
  std::string local_;
  std::string family_;
};

}  // namespace

std::string_view to_string(Finding finding) { return words.at(static_cast<std::size_t>(finding)); }

Diagnosis diagnose(const LeaseEvidence& evidence) { return Doctor(evidence).diagnose(); }

}  // namespace drpf::scan
