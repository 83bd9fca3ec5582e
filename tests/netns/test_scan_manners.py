"""What a scan must not do: believe lies, ask who is not in its scope, go faster than it was told, lose what it knew when it is stopped."""
import collections
import csv
import itertools
import json
import os
import signal
import struct
import time
import xml.etree.ElementTree as ElementTree

import packets
import pytest

from conftest import LONGER
from namespaces import wait_for
from odd_host import ACK, RST, SYN, OddHosts, datagram, error, like_a_kernel, segment
from scan_lab import ScanLab

STRANGER = "203.0.113.7"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = ScanLab(tmp_path_factory.mktemp("manners"))
    made.odd = OddHosts(made)
    made.numbers = itertools.count(20)
    yield made
    made.odd.close()
    made.close()


@pytest.fixture
def lab(shared):
    for host in (shared.scanner, shared.router, shared.target):
        host.run("nft", "flush", "ruleset")
    return shared


def quoted(asked, **changes):
    """The packet as it was asked, with other addresses, ports or sequence in it."""
    head = 20 if asked.version == 4 else 40
    packet = bytearray(asked.packet)
    for place, value in {"source_port": (head, "!H"), "port": (head + 2, "!H"), "sequence": (head + 4, "!I")}.items():
        if place in changes:
            struct.pack_into(value[1], packet, value[0], changes[place] & (0xFFFF if value[1] == "!H" else 0xFFFFFFFF))
    if "source" in changes:
        packet[12 if asked.version == 4 else 8:16 if asked.version == 4 else 24] = packets.binary(asked.version, changes["source"])
    if "destination" in changes:
        packet[16 if asked.version == 4 else 24:20 if asked.version == 4 else 40] = packets.binary(asked.version, changes["destination"])
    return bytes(packet)


def prohibited(asked, about, sender=None):
    return error(asked, *{4: (3, 13), 6: (1, 1)}[asked.version], sender=sender, quoted=about)


def refused(asked, about):
    return error(asked, *{4: (3, 3), 6: (1, 4)}[asked.version], quoted=about)


def cut(packet, size):
    """The packet without its end, as its own length field says."""
    packet = bytearray(packet[:size])
    if packet[0] >> 4 == 4:
        struct.pack_into("!H", packet, 2, size)
        packet[10:12] = b"\0\0"
        packet[10:12] = struct.pack("!H", packets.checksum(bytes(packet[:20])))
    else:
        struct.pack_into("!H", packet, 4, size - 40)
    return bytes(packet)


TCP_LIES = [
    lambda asked: segment(asked, SYN | ACK, sequence=1, acknowledged=asked.sequence),
    lambda asked: segment(asked, SYN | ACK, sequence=1, acknowledged=asked.sequence + 2),
    lambda asked: segment(asked, SYN | ACK, sequence=1, acknowledged=0),
    lambda asked: segment(asked, SYN | ACK, sequence=1, port=asked.port + 1000),
    lambda asked: segment(asked, RST | ACK, acknowledged=asked.sequence + 77),
    lambda asked: segment(asked, RST, sequence=asked.acknowledged + 77),
    lambda asked: segment(asked, ACK, sequence=1),
    lambda asked: segment(asked, 0, sequence=1),
    lambda asked: cut(segment(asked, SYN | ACK, sequence=1), {4: 20, 6: 40}[asked.version] + 13),
    lambda asked: cut(segment(asked, SYN | ACK, sequence=1), {4: 20, 6: 40}[asked.version] + 3),
    lambda asked: prohibited(asked, quoted(asked, sequence=asked.sequence + 77)),
    lambda asked: prohibited(asked, quoted(asked, source_port=asked.source_port ^ 0x4000)),
    lambda asked: prohibited(asked, quoted(asked, source=asked.destination)),
    lambda asked: prohibited(asked, quoted(asked, destination=asked.source)),
    lambda asked: prohibited(asked, asked.packet[:{4: 20, 6: 40}[asked.version] + 7]),
    lambda asked: prohibited(asked, asked.packet[:12]),
    lambda asked: prohibited(asked, b""),
    lambda asked: prohibited(asked, os.urandom(64)),
    lambda asked: prohibited(asked, b"\x4f" + asked.packet[1:] if asked.version == 4 else asked.packet[:39]),  # a longer header; half a header
]
UDP_LIES = [
    lambda asked: datagram(asked, b"hello", port=asked.port + 1000),
    lambda asked: refused(asked, quoted(asked, source_port=asked.source_port ^ 0x4000)),
    lambda asked: refused(asked, quoted(asked, source=asked.destination)),
    lambda asked: refused(asked, quoted(asked, destination=asked.source)),
    lambda asked: refused(asked, asked.packet[:{4: 20, 6: 40}[asked.version] + 7]),
    lambda asked: refused(asked, os.urandom(64)),
    lambda asked: refused(asked, b""),
]
LIE_BASE = 9000


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind, silence", [("syn", "filtered"), ("connect", "filtered"), ("ack", "filtered"), ("fin", "open|filtered"),
                                           ("udp", "open|filtered")])
def test_lies_change_no_state(lab, kind, silence, version):
    lies = UDP_LIES if kind == "udp" else TCP_LIES

    def answers(asked):
        if asked.protocol == (17 if kind == "udp" else 6) and not asked.flags & RST and LIE_BASE <= asked.port < LIE_BASE + len(lies):
            return [lies[asked.port - LIE_BASE](asked)]
        return like_a_kernel(asked, {80})

    address = lab.odd.add(next(lab.numbers), version, answers)
    numbers = range(LIE_BASE, LIE_BASE + len(lies))
    report = lab.scan(kind, address, [*([] if kind == "udp" else [80, 81]), *numbers])
    states = report.states(address)
    assert {port - LIE_BASE: states[port] for port in numbers if states[port] != (silence, "no-response")} == {}
    if kind in ("syn", "connect"):
        assert (states[80], states[81]) == (("open", "syn-ack"), ("closed", "reset"))
    if kind != "connect":
        assert report.summary["strays"] >= 3 * 2, report.summary  # the kernel of a connect scan tells of none


def watch_departures(lab, *addresses):
    """Counts what leaves towards each address, on the one hook that sees the frames of packet sockets too."""
    counters = "".join(f"  counter to_{number} {{ }}\n" for number in range(len(addresses)))
    rules = "".join(f"    {'ip6' if ':' in address else 'ip'} daddr {address} counter name to_{number}\n" for number, address in enumerate(addresses))
    lab.scanner.nft(f"table netdev watch {{\n{counters}  chain out {{ type filter hook egress device \"eth0\" priority 0; policy accept;\n{rules}  }}\n}}\n")

    def departed():
        text = lab.scanner.run("nft", "-j", "list", "counters").stdout
        return [entry["counter"]["packets"] for entry in sorted((entry for entry in json.loads(text)["nftables"] if "counter" in entry),
                                                                key=lambda entry: int(entry["counter"]["name"][3:]))]
    return departed


@pytest.mark.parametrize("kind", ["syn", "connect", "udp"])
def test_nobody_outside_of_the_scope_is_asked(lab, kind):
    """Counted where the packets leave, beside the program."""
    departed = watch_departures(lab, lab.target_address[4], "10.42.0.3", STRANGER, "224.0.0.0/4")
    refused_scan = lab.scanner.run(*lab.command(kind, [lab.target_address[4], STRANGER], "80"), check=False)
    assert refused_scan.returncode not in (0, 3) and "--i-own-these" in refused_scan.stderr, refused_scan
    assert lab.scanner.run(*lab.command(kind, "224.0.0.9", "80"), check=False).returncode not in (0, 3)
    assert departed() == [0, 0, 0, 0]
    lab.scan(kind, "10.42.0.2-3", "80", "--exclude", "10.42.0.3", codes=(0, 3))
    asked, *others = departed()
    assert asked > 0 and others == [0, 0, 0]


@pytest.mark.parametrize("kind, version", [("syn", 4), ("connect", 4), ("udp", 6)] + ([("connect", 6), ("ip-protocol", 6)] if LONGER else []))
def test_no_more_leaves_than_the_rate_allows(lab, kind, version):
    """The bucket holds a moment's worth: in t seconds no more than rate * t and a few. What the kernel repeats on its own is counted in."""
    address, rate = lab.add_target_address(next(lab.numbers))[version], 40
    lab.target.nft("table inet silence {\n  chain input { type filter hook input priority 0; policy accept;\n    "
                   f"{'ip' if version == 4 else 'ip6'} daddr {address} drop\n  }}\n}}\n")
    departed = watch_departures(lab, address)
    started = time.monotonic()
    scan = lab.scanner.popen(*lab.command(kind, address, "100-129", "--max-rate", str(rate)))
    most = 0
    while scan.running():
        count, = departed()
        passed = time.monotonic() - started
        assert count <= rate * passed + 4, f"{count} packets in {passed:.2f} s"
        most = max(most, count)
    assert most >= 80, "three probes of each of 30 silent ports"


def asked_ports(lab):
    """{source port: Counter(port: SYNs)} of what passed the router."""
    text = lab.router.run("nft", "-j", "list", "set", "inet", "watch", "asked").stdout
    found = collections.defaultdict(collections.Counter)
    for element in next(entry["set"] for entry in json.loads(text)["nftables"] if "set" in entry).get("elem", []):
        port, source_port = element["elem"]["val"]["concat"]
        found[source_port][port] += element["elem"]["counter"]["packets"]
    return found


@pytest.mark.parametrize("kind", ["syn", "connect"])
def test_an_interrupted_scan_leaves_whole_files_and_goes_on_where_it_was(lab, tmp_path, kind):
    address, last = lab.target_address[4], 1200
    lab.router.nft("table inet watch {\n  set asked { type inet_service . inet_service; flags dynamic; size 65535; counter; }\n"
                   "  chain forward { type filter hook forward priority 0; policy accept;\n"
                   f"    ip daddr {address} tcp flags & (syn|ack|rst) == syn update @asked {{ tcp dport . tcp sport }}\n  }}\n}}\n")
    departed = watch_departures(lab, address)
    os.chmod(tmp_path, 0o777)
    for folder in list(tmp_path.parents)[:3]:
        os.chmod(folder, os.stat(folder).st_mode | 0o055)
    files = {form: tmp_path / f"scan.{form}" for form in ("json", "xml", "csv", "grepable", "table")}
    state = tmp_path / "scan.resume"
    command = lab.command(kind, address, f"1-{last}", "--max-rate", "600", "--start-rate", "600", "--resume-file", state,
                          *(word for form, path in files.items() for word in ("--output", f"{form}:{path}")))
    command.remove("--no-resume")
    scan = lab.scanner.popen(*command)
    wait_for(lambda: departed()[0] > 300, 10, "the scan is under way")
    pressed = time.monotonic()
    scan.send_signal(signal.SIGINT)
    assert scan.wait(5) == 130, scan.output()
    assert time.monotonic() - pressed < 1  # 0.2 s, and what this machine adds

    hosts = json.loads(files["json"].read_text())
    assert [host["address"] for host in hosts] == [address] and hosts[0]["interrupted"] is True
    entries = {port["port"]: port["state"] for port in hosts[0]["ports"]}
    assert set(entries) == set(range(1, last + 1)) and set(entries.values()) == {"closed", "undecided"}
    known = {port for port, found in entries.items() if found == "closed"}
    assert 250 < len(known) < last
    tree = ElementTree.parse(files["xml"]).getroot()
    assert tree.tag == "nmaprun" and tree.find("runstats/finished").get("exit") == "interrupted"
    assert len(list(csv.reader(files["csv"].open()))) == last + 1
    assert files["grepable"].read_text().endswith("\n") and "undecided" in files["table"].read_text()
    before = asked_ports(lab)

    again = [word for word in lab.command(kind, address, "1") if word not in ("-p", "1", "--no-resume", f"--{kind}", address, "--no-discovery")]
    result = lab.scanner.run(*again, "--resume", state, check=False)
    assert result.returncode == 0, result
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {port["port"]: port["state"] for port in lines[0]["ports"]} == dict.fromkeys(range(1, last + 1), "closed")
    after = asked_ports(lab)
    if kind == "syn":
        # The first probe of each port leaves from the first source port of its run; canaries, which ask again on purpose, from others.
        first = max(before, key=lambda source_port: len(before[source_port]))
        second = max((source_port for source_port in after if source_port not in before), key=lambda source_port: len(after[source_port]))
        times = after[first] + after[second]
        assert set(times) == set(range(1, last + 1)) and set(times.values()) <= {1, 2}
        assert known.isdisjoint(after[second]), "ports that were decided are not asked again"
    else:
        times = collections.Counter()
        for counted in after.values():
            times += counted
        assert set(times) == set(range(1, last + 1))
        assert sum(times.values()) <= last + 40, "each once, but for those under way and the canaries"


def test_a_damaged_resume_file_is_refused(lab, tmp_path):
    state = tmp_path / "scan.resume"
    command = lab.command("syn", lab.target_address[4], "1-3000", "--max-rate", "300", "--start-rate", "300", "--resume-file", state)
    command.remove("--no-resume")
    departed = watch_departures(lab, lab.target_address[4])
    scan = lab.scanner.popen(*command)
    wait_for(lambda: departed()[0] > 30, 10, "the scan is under way")
    scan.send_signal(signal.SIGINT)
    assert scan.wait(5) == 130
    whole = state.read_bytes()
    for damage in (whole[:len(whole) // 2], whole[:40] + bytes([whole[40] ^ 0x55]) + whole[41:], b"", os.urandom(400)):
        state.write_bytes(damage)
        before = departed()
        result = lab.scanner.run(lab.command("syn", "x", "1")[0], "scan", "--resume", state, check=False)
        assert result.returncode not in (0, 3, 130) and "resume file" in result.stderr, result
        assert departed() == before, "nobody is asked on account of a damaged file"
