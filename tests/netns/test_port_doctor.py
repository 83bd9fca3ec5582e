"""`drpf lease test`: for each sentence exactly the fault that it speaks of, with the real gateway and real devices."""
import json
import signal
import socket
import types

import pytest
from gateway import DRPF, ConnectedDevice, Gateway, WireGuardDevice
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


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("protocol, found", [("tcp", "dropped_by_device"), ("udp", "silent")])
def test_the_devices_firewall_drops(house, protocol, found, version):
    laptop = house.laptop
    with DeviceRules(laptop.host, f"{protocol} dport {laptop.port} drop"), server(laptop.host, protocol, laptop.port):
        row = finding(house, laptop.port, protocol, version=version)
    assert row["finding"] == found and "tunnel works" in row["sentence"] and "firewall" in row["cure"]


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_devices_firewall_rejects(house, protocol, version):
    laptop = house.laptop
    with DeviceRules(laptop.host, f"{protocol} dport {laptop.port} reject with icmpx type admin-prohibited"), server(laptop.host, protocol, laptop.port):
        row = finding(house, laptop.port, protocol, version=version)
    assert row["finding"] == "rejected_by_device" and row["visit"]["reason"] == "admin-prohibited"
