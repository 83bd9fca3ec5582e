"""The connect scan where this machine is the narrow place: few descriptors, few ports, no way there. None of it is ever called filtered."""
import json
import re

import pytest

from gateway import DRPF
from scan_lab import ScanLab

SILENT = range(6000, 6010)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    made = ScanLab(tmp_path_factory.mktemp("limits"))
    for port in range(5000, 5050):
        made.responder.listen(4, port)
    made.target.nft(f"table inet silence {{\n  chain input {{ type filter hook input priority 0; policy accept;\n"
                    f"    tcp dport {SILENT[0]}-{SILENT[-1]} drop\n  }}\n}}\n")
    yield made
    made.close()


@pytest.mark.parametrize("descriptors", [12, 40])
def test_few_file_descriptors(lab, descriptors):
    """More ports than sockets: slower, and as exact."""
    address = lab.target_address[4]
    command = lab.command("connect", address, "5000-5199,6000-6009")
    result = lab.scanner.run("prlimit", f"--nofile={descriptors}:{descriptors}", *command, check=False)
    assert result.returncode == 0, result
    states = {port["port"]: port["state"] for port in json.loads(result.stdout.splitlines()[0])["ports"]}
    expected = {port: "open" if port < 5050 else "closed" if port < 6000 else "filtered" for port in [*range(5000, 5200), *SILENT]}
    assert {port: state for port, state in states.items() if state != expected[port]} == {}


def test_open_ports_leave_no_connection_behind(lab):
    """Closed with a reset: a thousand scans do not use up the source ports of this machine."""
    lab.scan("connect", lab.target_address[4], "5000-5049")
    for host in (lab.scanner, lab.target):
        left = lab.scanner.run("ss", "-Htan", "( dst 10.42.0.2 )").stdout if host is lab.scanner else host.run("ss", "-Htan", "state", "time-wait").stdout
        assert left == "", left


def test_a_connection_to_itself_is_not_open(lab):
    """A port of this machine that is asked from the same port connects to itself (RFC 9293, simultaneous open)."""
    lab.scanner.sysctl("net.ipv4.ip_local_port_range", "42000 42039")
    try:
        for _ in range(3):
            for address in ("10.41.0.2", "fd41::2"):
                assert set(lab.scan("connect", address, "41990-42050").states(address).values()) == {("closed", "reset")}
    finally:
        lab.scanner.sysctl("net.ipv4.ip_local_port_range", "32768 60999")


def test_no_free_source_port_is_no_statement_about_the_target(lab):
    """All the source ports that may be used are taken for this target's port."""
    address = lab.target_address[4]
    lab.scanner.sysctl("net.ipv4.ip_local_port_range", "42000 42001")
    held = []
    try:
        for _ in range(2):
            held.append(lab.scanner.socket())
            held[-1].settimeout(5)
            held[-1].connect((address, 5000))
        report = lab.scan("connect", address, "5000,5001", codes=(3,))
        assert report.states(address)[5000] == ("undecided", "local-error")
        assert "Cannot assign requested address" in report.hosts[address][5000]["reason_detail"]
        assert report.states(address)[5001] == ("open", "syn-ack")
        held.pop().close()
    finally:
        lab.scanner.sysctl("net.ipv4.ip_local_port_range", "32768 60999")
        for connection in held:
            connection.close()


def test_no_way_there_is_said(lab):
    lab.scanner.sh("ip route add unreachable 10.99.0.0/24")
    report = lab.scan("connect", ["10.99.0.1", lab.target_address[4]], "5000,5001", codes=(3,))
    assert report.states("10.99.0.1") == dict.fromkeys((5000, 5001), ("undecided", "local-error"))
    assert "No route to host" in report.hosts["10.99.0.1"][5000]["reason_detail"]
    assert set(report.states(lab.target_address[4]).values()) == {("open", "syn-ack")}
    alone = lab.scanner.run(*lab.command("connect", "10.99.0.1", "5000"), check=False)
    assert alone.returncode != 0 and "No route to host" in alone.stdout + alone.stderr, alone


def test_what_a_rule_of_this_machine_refuses_is_not_the_targets(lab):
    """What the own firewall rejects comes with an own address as the sender."""
    address = lab.target_address[4]
    lab.scanner.nft("table inet own {\n  chain output { type filter hook output priority 0; policy accept;\n"
                    "    tcp dport 5001 reject with icmpx type admin-prohibited\n  }\n}\n")
    try:
        states = lab.scan("connect", address, "5000,5001", codes=(3,)).states(address)
    finally:
        lab.scanner.run("nft", "delete", "table", "inet", "own")
    assert states == {5000: ("open", "syn-ack"), 5001: ("undecided", "local-error")}


def test_without_capabilities_the_connect_scan_is_taken_and_said(lab):
    result = lab.scanner.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", DRPF, "scan", "--no-resume", "-p", "5000", lab.target_address[4])
    assert re.search(r"^5000/tcp\s+open|^5000\s+open", result.stdout, re.MULTILINE), result.stdout
    assert "connect" in result.stdout + result.stderr
