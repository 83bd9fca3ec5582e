"""Scans where answers are rationed: each port right all the same, the limit named, few packets sent, nothing left half open. And each scan ends."""
import json

import pytest

from conftest import LONGER
from scan_lab import ScanLab

OPEN = range(4000, 4003)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = ScanLab(tmp_path_factory.mktemp("rations"))
    for port in OPEN:
        made.responder.listen(4, port)
    yield made
    made.close()


@pytest.fixture
def lab(shared):
    for host in (shared.scanner, shared.router, shared.target):
        host.run("nft", "flush", "ruleset")
    shared.limit_icmp(False)
    return shared


def chain(hook, rule):
    return f"table inet ration {{\n  chain here {{ type filter hook {hook} priority 0; policy accept;\n    {rule}\n  }}\n}}\n"


def count_packets(lab, address):
    """On the one hook that sees the frames of packet sockets too."""
    lab.scanner.nft(f"table netdev count {{\n  counter sent {{ }}\n  chain out {{ type filter hook egress device \"eth0\" priority 1; policy accept;\n"
                    f"    ip daddr {address} counter name sent\n  }}\n}}\n")

    def counted():
        text = lab.scanner.run("nft", "-j", "list", "counters").stdout
        return next(entry["counter"]["packets"] for entry in json.loads(text)["nftables"] if "counter" in entry)
    return counted


def resets(rate):
    return "target", chain("output", f"tcp flags & rst == rst limit rate over {rate}/second burst 5 packets drop")


def flows(rate):
    return "router", chain("forward", f"iifname inside ct state new limit rate over {rate}/second burst 5 packets drop")


@pytest.mark.parametrize("kind", ["syn", "connect"])
@pytest.mark.parametrize("ration, limit, ports", [(resets(20), 20, 120)] + ([(resets(1), 1, 30), (resets(200), 200, 1000), (flows(100), 100, 1000)] if LONGER else []),
                         ids=lambda value: str(value) if isinstance(value, int) else value[0])
def test_a_limit_of_answers_is_found_named_and_kept(lab, kind, ration, limit, ports):
    place, rules = ration
    getattr(lab, place).nft(rules)
    address = lab.target_address[4]
    sent = count_packets(lab, address)
    report = lab.scan(kind, address, f"4000-{3999 + ports}", seconds=120)
    expected = {port: ("open", "syn-ack") if port in OPEN else ("closed", "reset") for port in range(4000, 4000 + ports)}
    assert {port: found for port, found in report.states(address).items() if found != expected[port]} == {}
    assert sent() < (8 if limit == 1 else 4) * ports, report.said
    assert "per second" in report.said and "it was asked no faster" in report.said, report.said


ANSWERS_OF_OTHERS = {
    "rejected": ("port-unreach", "router", chain("forward", "iifname inside ip protocol != tcp reject with icmp type port-unreachable")),
    "prohibited": ("admin-prohibited", "router", chain("forward", "iifname inside ip protocol != tcp reject with icmp type admin-prohibited")),
}


@pytest.mark.parametrize("kind, numbers", [("udp", range(7001, 7016 if LONGER else 7010))] + ([("ip-protocol", range(144, 159))] if LONGER else []))
@pytest.mark.parametrize("answer", ANSWERS_OF_OTHERS)
def test_a_router_that_answers_for_the_target_has_its_limit_too(lab, kind, numbers, answer):
    reason, place, rules = ANSWERS_OF_OTHERS[answer]
    lab.limit_icmp(True)
    getattr(lab, place).nft(rules)
    report = lab.scan(kind, lab.target_address[4], numbers, seconds=60)
    assert set(report.states(lab.target_address[4]).values()) == {("filtered", f"{reason} from {lab.router_address[4]}")}


def test_a_host_that_is_off_behind_a_router(lab):
    lab.limit_icmp(True)
    report = lab.scan("udp", "10.42.0.99", range(7001, 7016 if LONGER else 7005), seconds=120)
    assert set(report.states("10.42.0.99").values()) == {("filtered", f"host-unreach from {lab.router_address[4]}")}


@pytest.mark.parametrize("kind, protocol", [("udp", "udp"), ("syn", "tcp")])
def test_probes_that_cannot_leave(lab, kind, protocol):
    """They are undecided for a reason of this machine; the others are told."""
    lab.scanner.nft("table netdev held {\n  chain out { type filter hook egress device \"eth0\" priority 0; policy accept;\n"
                    f"    {protocol} dport 7003-7004 drop\n  }}\n}}\n")
    report = lab.scan(kind, lab.target_address[4], "7001-7009", seconds=60, codes=(3,))
    states = report.states(lab.target_address[4])
    assert {states.pop(7003)[0], states.pop(7004)[0]} == {"undecided"}
    assert set(states.values()) == {("closed", "port-unreach" if kind == "udp" else "reset")}


@pytest.mark.parametrize("kind", ["fin"] + (["null", "xmas", "maimon"] if LONGER else []))
def test_silence_counts_only_where_an_error_would_have_come(lab, kind):
    lab.limit_icmp(True)
    lab.target.nft(chain("input", "tcp dport 8001-8010 reject with icmp type admin-prohibited\n    tcp dport 8011-8012 drop"))
    states = lab.scan(kind, lab.target_address[4], "7991-8012", seconds=60).states(lab.target_address[4])
    assert {states[port] for port in range(8001, 8011)} == {("filtered", "admin-prohibited")}
    assert {states[port] for port in (8011, 8012)} == {("open|filtered", "no-response")}
    assert {states[port] for port in range(7991, 8001)} == {("closed", "reset")}


def test_nothing_is_left_half_open_behind_a_firewall_of_ones_own(lab):
    """It keeps the answers from the kernel, which therefore sends no resets: the scan sends its own."""
    lab.scanner.nft(chain("input", "ct state established accept\n    icmpv6 type != echo-request accept\n    drop"))
    report = lab.scan("syn", lab.target_address[4], "4000-4099")
    assert [port for port, (state, _) in report.states(lab.target_address[4]).items() if state == "open"] == list(OPEN)
    assert lab.target.run("ss", "-Htan", "state", "syn-recv").stdout == ""
