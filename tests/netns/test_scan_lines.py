"""Scans over odd lines and of odd hosts: loss, limits, late answers, tarpits, rare answers."""
import itertools
import struct

import pytest

from conftest import LONGER
from odd_host import ACK, RST, SYN, OddHosts, datagram, error, like_a_kernel, segment
from scan_lab import ScanLab

OPEN = {("open", "syn-ack")}
CLOSED = {("closed", "reset")}
SILENT = {("filtered", "no-response")}
OPEN_PORTS, CLOSED_PORTS, SILENT_PORTS = range(4000, 4005), range(4005, 4025), range(4025, 4030)
HOST_NUMBERS = itertools.count(10)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    made = ScanLab(tmp_path_factory.mktemp("lines"))
    for version in (4, 6):
        for port in OPEN_PORTS:
            made.responder.listen(version, port)
    made.target.nft(f"table inet silence {{\n  chain input {{ type filter hook input priority 0; policy accept;\n"
                    f"    tcp dport {SILENT_PORTS[0]}-{SILENT_PORTS[-1]} drop\n  }}\n}}\n")
    yield made
    made.close()


@pytest.fixture(scope="module")
def odd(lab):
    made = OddHosts(lab)
    yield made
    made.close()


def kinds_of_answers(report, address, ports):
    states = report.states(address)
    return {states[port] for port in ports}


def ports(*ranges):
    return ",".join(f"{part[0]}-{part[-1]}" for part in ranges)


# Runs: with loss l each way p = 1 - (1 - l)² of the probes stay unanswered, and so many are sent that 0.001 misses are expected in each run.
@pytest.mark.parametrize("kind", ["syn", "connect"])
@pytest.mark.parametrize("loss, runs", [(10, 100 if LONGER else 1), (33, 100 if LONGER else 1)] + ([(66, 20)] if LONGER else []))
def test_loss_in_both_directions(lab, kind, loss, runs):
    address = lab.add_target_address(loss + (100 if kind == "syn" else 0))[4]
    lab.router.nft(f"table ip loss_{kind}_{loss} {{\n  chain forward {{ type filter hook forward priority 0; policy accept;\n"
                   f"    ip daddr {address} numgen random mod 100 < {loss} drop\n    ip saddr {address} numgen random mod 100 < {loss} drop\n  }}\n}}\n")
    unanswered = 1 - (1 - loss / 100) ** 2
    wrong = 0
    for _ in range(runs):
        report = lab.scan(kind, address, ports(OPEN_PORTS, CLOSED_PORTS, SILENT_PORTS), codes=(0, 3))
        assert kinds_of_answers(report, address, OPEN_PORTS) <= OPEN | {("undecided", "no-response")}
        assert kinds_of_answers(report, address, CLOSED_PORTS) <= CLOSED | {("undecided", "no-response")}
        assert kinds_of_answers(report, address, SILENT_PORTS) <= SILENT | {("undecided", "no-response")}
        wrong += report.summary["undecided"] > len(SILENT_PORTS)
        assert abs(report.summary["loss"] - unanswered) < 0.25, report.summary
        assert report.summary["miss_probability"] < 0.01
    assert wrong <= runs // 50, f"{wrong} of {runs} runs left ports undecided that answer"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["syn", "connect"])
def test_a_limit_on_new_connections(lab, kind, version):
    """Of all SYNs in a second one gets through, so that the others have to be sent again and again."""
    address = lab.add_target_address(60 + version + (10 if kind == "syn" else 0))[version]
    family = "ip" if version == 4 else "ip6"
    lab.target.nft(f"table inet limit_{kind}_{version} {{\n  chain input {{ type filter hook input priority -1; policy accept;\n"
                   f"    {family} daddr {address} tcp dport {OPEN_PORTS[0]} tcp flags syn limit rate over 1/second burst 1 packets drop\n  }}\n}}\n")
    with lab.scanner.socket({4: 2, 6: 10}[version]) as first:  # the one of this second
        first.settimeout(5)
        first.connect((address, OPEN_PORTS[0]))
    report = lab.scan(kind, address, ports(OPEN_PORTS, CLOSED_PORTS))
    assert kinds_of_answers(report, address, OPEN_PORTS) == OPEN
    assert kinds_of_answers(report, address, CLOSED_PORTS) == CLOSED


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("milliseconds", [20, 200, 900])
@pytest.mark.parametrize("kind", ["syn", "connect"])
def test_late_answers(lab, odd, kind, version, milliseconds):
    address = odd.add(next(HOST_NUMBERS), version, lambda asked: [(milliseconds / 1000, packet) for packet in like_a_kernel(asked, set(OPEN_PORTS))])
    report = lab.scan(kind, address, ports(OPEN_PORTS, CLOSED_PORTS))
    assert kinds_of_answers(report, address, OPEN_PORTS) == OPEN
    assert kinds_of_answers(report, address, CLOSED_PORTS) == CLOSED
    times = [port["rtt_ms"] for port in report.hosts[address].values()]
    assert milliseconds <= min(times) <= milliseconds + 100, times


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["syn", "connect"])
def test_a_tarpit_is_told(lab, odd, kind, version):
    address = odd.add(next(HOST_NUMBERS), version, lambda asked: like_a_kernel(asked, range(65536)))
    report = lab.scan(kind, address, "1-60")
    assert kinds_of_answers(report, address, range(1, 61)) == OPEN
    assert "tarpit" in " ".join(report.notes[address] + report.summary["warnings"]), report.notes


RARE = {4: {5: (3, 5), 6: (3, 6), 7: (3, 7), 8: (3, 8), 9: (3, 11), 10: (3, 12), 11: (3, 14), 12: (3, 15)}, 6: {7: (1, 7)}}
REASONS = {4: {20: (11, 1, "time-exceeded"), 21: (12, 0, "param-problem")}, 6: {20: (3, 1, "time-exceeded"), 21: (4, 0, "param-problem")}}
MEANINGLESS = {4: {30: (4, 0), 31: (3, 4)}, 6: {31: (2, 0)}}  # source quench, packet too big


def rare_answers(asked):
    version = asked.version
    if asked.protocol != 6 or asked.flags & RST:
        return []
    if code := RARE[version].get(asked.port):
        return [error(asked, *code)]
    if reason := REASONS[version].get(asked.port):
        return [error(asked, *reason[:2])]
    if code := MEANINGLESS[version].get(asked.port):
        rest = b"\0\0\5\0" if version == 6 or code == (3, 4) else b"\0\0\0\0"
        return [error(asked, *code, rest=rest), (0.02, segment(asked, SYN | ACK, sequence=9, window=1000))]
    if asked.port == 40:
        return [segment(asked, SYN, sequence=9, window=1000)]  # simultaneous open
    if asked.port == 41:
        return [segment(asked, RST, sequence=asked.acknowledged, window=777)]
    if asked.port == 42:
        return [error(asked, *({4: (3, 13), 6: (1, 1)}[version])), (0.005, segment(asked, SYN | ACK, sequence=9, window=1000))]
    return like_a_kernel(asked, {50})


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["syn", "connect"])
def test_rare_answers_to_a_handshake(lab, odd, kind, version):
    address = odd.add(next(HOST_NUMBERS), version, rare_answers)
    expected = {port: ("filtered", "unreach") for port in RARE[version]}
    expected |= {port: ("filtered", reason) for port, (_, _, reason) in REASONS[version].items()}
    if kind == "connect" and version == 4:
        expected[20] = ("filtered", "no-response")  # the kernel tells no socket of code 1
    expected |= {port: ("open", "syn-ack") for port in MEANINGLESS[version]}
    expected |= {50: ("open", "syn-ack"), 51: ("closed", "reset")}
    if kind == "syn":
        expected |= {40: ("open", "split-handshake"), 42: ("open", "syn-ack")}  # open is final, filtered is not
    report = lab.scan(kind, address, expected.keys())
    assert {port: found for port, found in report.states(address).items() if found != expected[port]} == {}
    for port, (_, code) in RARE[version].items():
        assert f"code {code}" in report.hosts[address][port]["reason_detail"]


@pytest.mark.parametrize("version", [4, 6])
def test_a_window_in_a_reset(lab, odd, version):
    address = odd.add(next(HOST_NUMBERS), version, rare_answers)
    assert lab.scan("window", address, "41,51").states(address) == {41: ("open", "reset"), 51: ("closed", "reset")}
    assert lab.scan("ack", address, "41,51").states(address) == {41: ("unfiltered", "reset"), 51: ("unfiltered", "reset")}


def ntp(asked):
    return struct.pack("!B47x", 0x24) if len(asked) >= 48 and asked[0] & 7 == 3 else None


def dns(asked):
    return asked[:2] + struct.pack("!H", 0x8180) + asked[4:] if len(asked) >= 17 and asked[2] & 0x80 == 0 and asked[4:6] == b"\0\1" else None


def stun(asked):
    if len(asked) < 20 or asked[:2] != b"\0\1" or asked[4:8] != bytes.fromhex("2112a442"):
        return None
    return b"\1\1\0\0" + asked[4:20]


@pytest.mark.parametrize("version", [4, 6])
def test_udp_services_answer_to_their_own_words_only(lab, odd, version):
    services = {53: dns, 123: ntp, 3478: stun, 69: None}

    def answers(asked):
        if asked.protocol != 17:
            return []
        if asked.port == 69:  # TFTP answers from a new port (RFC 1350)
            return [datagram(asked, b"\0\5\0\1no\0", port=40069)]
        if asked.port == 5001:  # from another port, and no service that does so
            return [datagram(asked, b"hello", port=5002)]
        payload = services[asked.port](asked.body[8:]) if asked.port in services else None
        return [datagram(asked, payload)] if payload else []

    address = odd.add(next(HOST_NUMBERS), version, answers)
    report = lab.scan("udp", address, [*services, 5000, 5001])
    states = report.states(address)
    assert states == {port: ("open", "udp-response") for port in services} | {5000: ("open|filtered", "no-response"), 5001: ("open|filtered", "no-response")}
    assert report.summary["strays"] > 0  # from port 5002, which was not asked
    assert "40069" in report.hosts[address][69]["note"]


def test_a_limit_on_icmp_errors_is_found_and_told(lab):
    """With the limits that kernels have (six at once, then one per second), closed UDP ports are told all the same, and the limit is named."""
    lab.limit_icmp(True)
    last = 7039 if LONGER else 7008
    try:
        report = lab.scan("udp", lab.target_address[4], f"7000-{last}", seconds=120)
    finally:
        lab.limit_icmp(False)
    assert set(report.states(lab.target_address[4]).values()) == {("closed", "port-unreach")}
    if LONGER:
        assert "ICMP errors per second" in report.said, report.said


@pytest.mark.parametrize("kind", ["syn", "connect"])
def test_a_full_backlog_is_silence(lab, kind):
    """Linux drops SYNs to a listener whose queue is full: on the wire that is a port that does not answer, and no port that is closed."""
    port = {"syn": 4900, "connect": 4901}[kind]
    with lab.target.socket() as listener:
        listener.bind((lab.target_address[4], port))
        listener.listen(0)
        held = []
        for _ in range(2):
            connection = lab.scanner.socket()
            connection.setblocking(False)
            connection.connect_ex((lab.target_address[4], port))
            held.append(connection)
        held[0].settimeout(5)
        report = lab.scan(kind, lab.target_address[4], f"{port},4005-4024")
        for connection in held:
            connection.close()
    assert report.states(lab.target_address[4])[port] in SILENT
