"""`drpf lease test`: for each sentence exactly the fault that it speaks of, with the real gateway and real devices."""
import contextlib
import json
import os
import signal
import socket
import time
import types

import pytest
from gateway import DRPF, ENGINE, ConnectedDevice, Gateway, WireGuardDevice
from lab import Lab
from namespaces import wait_for
from redirect_lab import new_socket
from traffic import TcpServer, UdpServer, tcp_visit, udp_visit

pytestmark = pytest.mark.xdist_group("port_doctor")
PROBE = {4: "192.0.2.77", 6: "2001:db8:6472:7066::77"}
BOTH = [4, 6]


@pytest.fixture(scope="module", name="house")
def one_house(tmp_path_factory):
    """One lab for all: a gateway, a stock WireGuard device and one with drpf connect."""
    lab = Lab(tmp_path_factory.mktemp("doctor"))
    try:
        gateway = Gateway(lab)
        laptop = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
        laptop.port = gateway.wait_for_ports("laptop")[0]
        tower = ConnectedDevice(lab.homes[1], gateway.add_device("ben", "tower"))
        tower.port = gateway.wait_for_ports("tower")[0]
        yield types.SimpleNamespace(lab=lab, gateway=gateway, laptop=laptop, tower=tower)
    finally:
        lab.close()


def public(lab, version):
    return lab.gw_v4 if version == 4 else lab.gw_v6


def ask(house, port, protocol, *arguments, version=None):
    """The exit code, and what is found at each public address or at that of one family."""
    result = house.gateway.cli_result("lease", "test", f"{port}/{protocol}", "--json", *arguments)
    assert result.stdout, result.stderr
    rows = json.loads(result.stdout)
    if version is not None:
        rows = [row for row in rows if (":" in row["public_address"]) == (version == 6)]
    return result.returncode, rows


def finding(house, port, protocol, *arguments, version=4):
    _, rows = ask(house, port, protocol, *arguments, version=version)
    assert len(rows) == 1
    return rows[0]


def both_findings(house, port, protocol):
    """At the IPv4 and the IPv6 address, tested at once; for what is answered by silence."""
    _, rows = ask(house, port, protocol, "--wait", "600")
    assert len(rows) == 2
    return rows


def server(host, protocol, port, **options):
    return (TcpServer if protocol == "tcp" else UdpServer)(host, port, **options)


class DeviceRules:
    """What a firewall on the device would do to one port."""

    def __init__(self, host, rule):
        self.host = host
        host.nft(f"table inet own {{ chain input {{ type filter hook input priority 0; {rule}; }}; }}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.nft("delete table inet own")


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("device", ["laptop", "tower"])
def test_a_program_that_answers(house, device, protocol, version):
    device = getattr(house, device)
    with server(device.host, protocol, device.port) as program:
        row = finding(house, device.port, protocol, version=version)
        assert row["finding"] == "answers" and row["cure"] == ""
        assert row["visit"]["from"] == PROBE[version] and 0 < row["visit"]["round_trip_ms"] < 1000
        if protocol == "tcp":
            assert program.addresses() == []  # the handshake is broken off before the program hears of it
    assert house.gateway.host.run("conntrack", "-L", "-s", PROBE[version], check=False).stdout == ""


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("protocol, answer", [("tcp", "reset"), ("udp", "port-unreach")])
@pytest.mark.parametrize("device", ["laptop", "tower"])
def test_nobody_listens(house, device, protocol, answer, version):
    device = getattr(house, device)
    row = finding(house, device.port, protocol, version=version)
    assert row["finding"] == "nobody_listens" and row["visit"]["reason"] == answer
    assert "nothing listens" in row["sentence"] and "Start the program" in row["cure"]


# The kernel's tunnel cannot be called, so its silence is not told from a firewall's.
DROPPED, TUNNEL_SILENT = ("silent", "silent") if ENGINE == "kernel" else ("dropped_by_device", "tunnel_silent")


@pytest.mark.parametrize("protocol, found", [("tcp", DROPPED), ("udp", "silent")])
def test_the_devices_firewall_drops(house, protocol, found):
    laptop = house.laptop
    with DeviceRules(laptop.host, f"iifname {laptop.interface} meta l4proto {protocol} drop"), server(laptop.host, protocol, laptop.port):
        for row in both_findings(house, laptop.port, protocol):
            assert row["finding"] == found and "went into" in row["sentence"] and "firewall" in row["cure"]
            assert ENGINE == "kernel" or "where nobody listens" in row["sentence"]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_devices_firewall_drops_this_port(house, protocol):
    """It answers where nobody listens: then a program that hangs looks the same."""
    laptop = house.laptop
    with DeviceRules(laptop.host, f"{protocol} dport {laptop.port} drop"), server(laptop.host, protocol, laptop.port):
        for row in both_findings(house, laptop.port, protocol):
            assert row["finding"] == "silent" and "firewall" in row["sentence"]


def test_a_program_that_hangs_with_a_full_queue(house):
    laptop = house.laptop
    with new_socket(laptop.host, 4, socket.SOCK_STREAM, laptop.port) as listener, contextlib.ExitStack() as clients:
        listener.listen(0)
        for _ in range(4):
            client = clients.enter_context(new_socket(laptop.host, 4, socket.SOCK_STREAM))
            client.setblocking(False)
            client.connect_ex((laptop.address(4), laptop.port))
        row = finding(house, laptop.port, "tcp")
    assert row["finding"] == "silent" and "the program there hangs" in row["sentence"] and "restart it" in row["cure"]


def test_ipv6_has_no_way_back(house):
    """The device has an IPv6 way of its own, and its answers to strangers take that one."""
    laptop = house.laptop
    halves = ["::/1", "8000::/1"]
    for half in halves:
        laptop.host.run("ip", "-6", "route", "del", half, "dev", laptop.interface)
    try:
        with TcpServer(laptop.host, laptop.port):
            four, six = sorted(both_findings(house, laptop.port, "tcp"), key=lambda row: ":" in row["public_address"])
            assert four["finding"] == "answers"
            assert six["finding"] == "no_way_back" and "over IPv4 it answers" in six["sentence"] and "::/0" in six["cure"]
            laptop.host.run("ip", "-6", "route", "add", f"{laptop.file.gateway6()}/128", "dev", laptop.interface)
            code, rows = ask(house, laptop.port, "tcp", version=6)
            assert rows[0]["finding"] == "no_way_back" and "answers the gateway itself" in rows[0]["sentence"]
            assert code == 0  # over IPv4 it is open
    finally:
        laptop.host.run("ip", "-6", "route", "del", f"{laptop.file.gateway6()}/128", "dev", laptop.interface, check=False)
        for half in halves:
            laptop.host.run("ip", "-6", "route", "replace", half, "dev", laptop.interface)


def test_a_tunnel_that_died_a_moment_ago(house):
    """Its last handshake is too young to be repeated at once, and says nothing of now."""
    laptop = house.laptop
    laptop.host.run("wg", "set", laptop.interface, "peer", laptop.host.run("wg", "show", laptop.interface, "peers").stdout.strip(), "remove")
    before = int(time.time())
    laptop.host.run("wg", "setconf", laptop.interface, "/dev/stdin", stdin=laptop.file.without_wg_quick_keys())
    laptop.host.run("ping", "-c", "1", "-W", "5", "10.77.0.1")
    assert laptop.latest_handshake() >= before
    laptop.process.send_signal(signal.SIGSTOP)
    try:
        row = finding(house, laptop.port, "tcp")
    finally:
        laptop.process.send_signal(signal.SIGCONT)
    assert row["finding"] == TUNNEL_SILENT and "works" not in row["sentence"]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_devices_firewall_rejects(house, protocol):
    laptop = house.laptop
    with DeviceRules(laptop.host, f"{protocol} dport {laptop.port} reject with icmpx type admin-prohibited"), server(laptop.host, protocol, laptop.port):
        for row in both_findings(house, laptop.port, protocol):
            assert row["finding"] == "rejected_by_device" and row["visit"]["reason"] == "admin-prohibited"


def test_what_cannot_be_told_of_udp_is_told_by_the_visitors_that_were_answered(house):
    """A program that answers its own visitors and not us: the device's firewall lets one address in."""
    lab, tower = house.lab, house.tower
    with DeviceRules(tower.host, f"ip saddr {PROBE[4]} udp dport {tower.port + 1} drop"), UdpServer(tower.host, tower.port + 1):
        row = finding(house, tower.port + 1, "udp")
        assert row["finding"] == "no_way_back" and "answers the gateway itself" in row["sentence"]
        assert udp_visit(lab.inet, lab.gw_v4, tower.port + 1)
        row = finding(house, tower.port + 1, "udp", "--wait", "600")
    assert row["finding"] == "answers" and "1 of 1" in row["sentence"] and row["visits"] == 1


def test_udp_asks_in_the_words_of_the_service_that_the_lease_leads_to(house):
    gateway, laptop, port = house.gateway, house.laptop, house.laptop.port + 1
    gateway.cli("lease", "set", f"{port}/udp", "--local", 53)
    with new_socket(laptop.host, 4, socket.SOCK_DGRAM, 53) as dns:
        assert finding(house, port, "udp", "--wait", "600")["finding"] == "silent"
        query = dns.recv(1000)
    gateway.cli("lease", "set", f"{port}/udp", "--local", port)
    assert len(query) > 12 and query[4:6] == b"\0\1"  # a DNS header that announces one question (RFC 1035 section 4.1.1)


@pytest.mark.parametrize("version", BOTH)
def test_without_a_visit(house, version):
    """--passive: nobody came; somebody came and was not answered; somebody was."""
    lab, laptop = house.lab, house.laptop
    port = laptop.port + 2
    with TcpServer(laptop.host, port), new_socket(laptop.host, version, socket.SOCK_DGRAM, port) as silent:
        for protocol in ("tcp", "udp"):
            code, rows = ask(house, port, protocol, "--passive", version=version)
            assert rows[0]["finding"] == "not_visited" and rows[0]["visit"] is None
            assert version == 6 or code == 15
        assert tcp_visit(lab.inet, public(lab, version), port)
        row = finding(house, port, "tcp", "--passive", version=version)
        assert row["finding"] == "answers" and row["visits"] == 1
        with new_socket(lab.inet, version, socket.SOCK_DGRAM) as visitor:
            visitor.sendto(b"anybody?", (public(lab, version), port))
            assert silent.recv(100) == b"anybody?"
            row = finding(house, port, "udp", "--passive", version=version)
            assert row["finding"] == "not_answered" and row["visits"] == 1 and "1 visit came" in row["sentence"]


ADMIN_PROHIBITED = "reject with icmpx type admin-prohibited"


@pytest.mark.parametrize("protocol, verdict", [("tcp", "drop"), ("udp", "drop"), ("tcp", ADMIN_PROHIBITED), ("udp", ADMIN_PROHIBITED),
                                               ("udp", "reject"), ("tcp", "reject with tcp reset")])
def test_another_programs_rules_on_the_gateway(house, protocol, verdict):
    laptop, gw = house.laptop, house.lab.gw
    gw.nft(f"table inet foreign {{ chain forward {{ type filter hook forward priority 10; oifname drpf0 meta l4proto {protocol} {verdict}; }}; }}")
    try:
        with server(laptop.host, protocol, laptop.port):
            for row in both_findings(house, laptop.port, protocol):
                assert row["finding"] == "blocked_on_gateway" and "drpf check" in row["cure"]
    finally:
        gw.nft("delete table inet foreign")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_another_programs_redirect_on_the_gateway(house, protocol):
    """Before ours: what Docker's would do if its priority were higher."""
    tower, laptop, gw = house.tower, house.laptop, house.lab.gw
    gw.nft("table ip foreign { chain first { type nat hook prerouting priority -150; "
           f"{protocol} dport {tower.port} dnat to {laptop.address(4)}:{laptop.port}; }}; }}")
    try:
        with server(laptop.host, protocol, laptop.port):
            row = finding(house, tower.port, protocol)
    finally:
        gw.nft("delete table ip foreign")
    assert row["finding"] == "gone_astray" and laptop.address(4) in row["sentence"]


def test_another_programs_rules_that_know_the_public_interface_alone(house):
    """Visitors pass them, and our visit does not: then the visitors count."""
    lab, tower = house.lab, house.tower
    lab.gw.nft("table inet foreign { chain forward { type filter hook forward priority 10; iifname != { wan, drpf0 } drop; }; }")
    try:
        with TcpServer(tower.host, tower.port + 3):
            assert finding(house, tower.port + 3, "tcp", "--wait", "600")["finding"] == "blocked_on_gateway"
            assert tcp_visit(lab.inet, lab.gw_v4, tower.port + 3)
            row = finding(house, tower.port + 3, "tcp", "--wait", "600")
    finally:
        lab.gw.nft("delete table inet foreign")
    assert row["finding"] == "answers" and "stops our own visit" in row["sentence"]


def test_our_own_visits_are_not_counted(house):
    port = house.laptop.port + 3
    house.lab.gw.nft("table inet foreign { chain forward { type filter hook forward priority 10; oifname drpf0 drop; }; }")
    try:
        for protocol in ("tcp", "udp"):
            both_findings(house, port, protocol)  # the kernel takes each packet of these for a visit
    finally:
        house.lab.gw.nft("delete table inet foreign")
    for protocol in ("tcp", "udp"):
        assert {(row["finding"], row["visits"]) for row in ask(house, port, protocol, "--passive")[1]} == {("not_visited", 0)}


def test_a_lease_that_ends_while_it_is_visited(house):
    gateway, port = house.gateway, house.laptop.port + 4
    with DeviceRules(house.laptop.host, f"tcp dport {port} drop"):
        test = house.lab.gw.popen(DRPF, "lease", "test", f"{port}/tcp", "--wait", "3000", "--json", "--socket", gateway.socket)
        wait_for(lambda: PROBE[4] in house.lab.gw.sh(f"conntrack -L -s {PROBE[4]} 2>/dev/null"), 10, "it is being visited")
        gateway.cli("lease", "remove", f"{port}/tcp")
        assert test.wait(10) == 30
    assert {row["finding"] for row in json.loads(test.output())} == {"lease_ended"}


def test_a_device_cannot_keep_the_doctor_busy(house):
    tower = house.tower
    with DeviceRules(tower.host, f"tcp dport {tower.port} drop"):
        tests = [tower.host.popen(DRPF, "lease", "test", f"{tower.port}/tcp", "--wait", "2000", "--gateway", "10.77.0.1") for _ in range(6)]
        codes = sorted(test.wait(10) for test in tests)
    assert codes == [1, 1, 13, 13, 13, 13]
    assert sum("too many leases are being tested" in test.output() for test in tests) == 2


def test_no_lease(house):
    gateway, port = house.gateway, house.laptop.port + 4
    code, rows = ask(house, 31_999, "tcp")
    assert rows[0]["finding"] == "lease_unknown" and code == 31 and "drpf lease add DEVICE 31999/tcp" in rows[0]["cure"]
    code, rows = ask(house, 22, "tcp")
    assert rows[0]["finding"] == "lease_unknown" and "not in the pool" in rows[0]["sentence"]
    gateway.cli("lease", "remove", f"{port}/udp")
    code, rows = ask(house, port, "udp")
    assert rows[0]["finding"] == "lease_ended" and code == 30
    assert house.gateway.cli_result("lease", "test", port).stdout.count("The lease of port ") == 2  # by each protocol
    gateway.cli("lease", "remove", f"{port - 1}/udp")
    _, both = ask(house, port - 1, "tcp")
    assert {row["protocol"] for row in both} == {"tcp"}
    result = gateway.cli_result("lease", "test", port - 1, "--json")
    assert {(row["protocol"], row["finding"]) for row in json.loads(result.stdout)} == {("tcp", "nobody_listens"), ("udp", "lease_ended")}
    assert result.returncode == 10
    assert "the device laptop (account ann) until " in rows[0]["sentence"] and f"drpf lease add laptop {port}/udp" in rows[0]["cure"]


def test_an_account_that_is_suspended(house):
    house.gateway.cli("account", "set", "ann", "--suspend")
    try:
        code, rows = ask(house, house.laptop.port, "tcp")
        assert rows[0]["finding"] == "account_suspended" and code == 22 and "drpf account set ann --resume" in rows[0]["cure"]
    finally:
        house.gateway.cli("account", "set", "ann", "--resume")
    wait_for(lambda: finding(house, house.laptop.port, "tcp")["finding"] == "nobody_listens", 20, "the lease leads to the device again")


def test_a_device_asks_about_its_own_leases_and_learns_nothing_of_others(house):
    def asked(port):
        return house.tower.host.run(DRPF, "lease", "test", f"{port}/tcp", "--gateway", "10.77.0.1", "--json", check=False)

    own = asked(house.tower.port)
    assert own.returncode == 10 and json.loads(own.stdout)[0]["finding"] == "nobody_listens"
    others = asked(house.laptop.port)
    assert others.returncode == 31
    assert json.loads(others.stdout)[0]["device"] is None and "laptop" not in others.stdout and "ann" not in others.stdout
    assert asked(house.laptop.port + 4).returncode == 31  # it has ended, and was not this device's


def test_words_and_exit_codes(house):
    port = house.laptop.port
    with TcpServer(house.laptop.host, port):
        result = house.gateway.cli_result("lease", "test", port)
        assert result.returncode == 0  # one protocol answers: that is enough
        assert f"198.51.100.1:{port}/tcp  Open: the program on the device laptop answers" in result.stdout
        assert f"198.51.100.1:{port}/udp  Packets arrive" in result.stdout and "\n  cure: Start the program" in result.stdout
        assert house.gateway.cli_result("lease", "test", f"{port}/udp").returncode == 10
    for arguments in (["any"], ["0/sctp"], ["70000"], [port, "--on-change", "true"], [port, "--wait", "5"], [port, "--gateway", "nowhere"]):
        assert house.gateway.cli_result("lease", "test", *arguments).returncode == 64, arguments


def test_watching_tells_what_changes_and_runs_a_program(house, tmp_path):
    port, told = house.laptop.port + 1, tmp_path / "told"
    hook = f'echo "$DRPF_FINDING_BEFORE $DRPF_FINDING $DRPF_PUBLIC_ADDRESS $DRPF_PORT/$DRPF_PROTOCOL" >> {told}'
    watcher = house.lab.gw.popen(DRPF, "lease", "test", f"{port}/tcp", "--watch", "--every", "1", "--on-change", hook,
                                     "--metrics", tmp_path / "leases.prom", "--socket", house.gateway.socket)
    watcher.wait_for_output("nothing listens", 10)
    with TcpServer(house.laptop.host, port):
        watcher.wait_for_output("Open: the program", 10)
        wait_for(lambda: told.exists() and f"nobody_listens answers {house.lab.gw_v4} {port}/tcp" in told.read_text(), 10, "the program was run")
    watcher.wait_for_output("nothing listens", 10, after=watcher.output().index("Open: the program"))
    watcher.stop(signal.SIGTERM, 5)
    labels = f'{{address="{house.lab.gw_v4}",port="{port}",protocol="tcp",device="laptop"}}'
    assert f"drpf_lease_answers{labels} 0" in (tmp_path / "leases.prom").read_text()


def test_the_interface_of_our_visits_is_kept(house):
    gw, port = house.lab.gw, house.laptop.port
    gw.sh("ip link set drpf-probe down")
    wait_for(lambda: finding(house, port, "tcp")["finding"] == "nobody_listens", 10, "it is up again")
    gw.sh(f"ip route del {PROBE[4]}")
    wait_for(lambda: gw.run("ip", "route", "show", PROBE[4]).stdout, 10, "its route is there again")
    counted = lambda: house.gateway.cli_json("status")["repaired"]["counts"]["the interface that leases are tested from"]  # noqa: E731
    for taken in ("ip link del drpf-probe", "ip link set drpf-probe down && ip link set drpf-probe name stolen"):
        before = counted()
        gw.sh(taken)
        wait_for(lambda: counted() > before, 10, "it is made again, and counted")
        assert gw.run("ip", "link", "show", "stolen", check=False).returncode != 0
        wait_for(lambda: finding(house, port, "tcp")["finding"] == "nobody_listens", 10, "visits are made from it")


def test_the_device_is_gone_without_a_word_and_then_with_one(house):
    """Last of all. A device that sleeps, and one that has left."""
    laptop, tower = house.laptop, house.tower
    laptop.process.send_signal(signal.SIGSTOP)
    try:
        assert finding(house, laptop.port, "tcp", "--wait", "600")["finding"] == TUNNEL_SILENT
        assert finding(house, laptop.port, "udp")["finding"] == TUNNEL_SILENT
    finally:
        laptop.process.send_signal(signal.SIGCONT)
    tower.disconnect()
    code, rows = ask(house, tower.port, "tcp")
    assert rows[0]["finding"] == "tunnel_down" and code == 21
    assert "the device tower is not connected since " in rows[0]["sentence"] and "UTC" in rows[0]["sentence"]


def test_the_rules_are_gone_and_do_not_come_back(lab):
    """Where the process that runs nft has been killed, nothing mends the rule set."""
    gateway = Gateway(lab, arguments=("--plain-table",))
    WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    port = gateway.wait_for_ports("laptop")[0]
    house = types.SimpleNamespace(gateway=gateway)
    with TcpServer(lab.homes[0], port):
        assert finding(house, port, "tcp")["finding"] == "answers"
        with open(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children", encoding="ascii") as file:
            nft_process = int(file.read().split()[0])
        os.kill(nft_process, signal.SIGKILL)
        lab.gw.sh("nft delete table inet drpf")
        code, rows = ask(house, port, "tcp")
    assert code == 40 and {row["finding"] for row in rows} == {"rule_missing"} and "nothing is forwarded" in rows[0]["sentence"]
    assert gateway.stop() == 0
