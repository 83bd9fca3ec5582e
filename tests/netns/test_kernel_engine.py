"""The kernel's WireGuard as the tunnel: what is its own. What every engine must do is tested by the tests in tests/netns with DRPF_ENGINE=kernel.

Run by ./dev test --kernel, under Debian's kernel: see tools/debian_kernel.py.
"""
import os
import time

import pytest
from gateway import ConnectedDevice, Gateway, WireGuardDevice
from namespaces import wait_for
from traffic import TcpServer, connect, read_line


@pytest.fixture(name="gateway")
def running_gateway(lab):
    return Gateway(lab)


def peers(gateway):
    """What wg(8) says of each: (public key, allowed prefixes, latest handshake)."""
    rows = [line.split("\t") for line in gateway.host.sh("wg show drpf0 dump").splitlines()[1:]]
    return {row[0]: (row[3], int(row[4])) for row in rows}


def test_it_is_the_kernels(gateway):
    assert "wireguard" in gateway.host.sh("ip -d link show drpf0")
    status = gateway.cli_json("status")
    assert status["engine"] == status["ways_in"][0]["engine"] == "the kernel's WireGuard"
    assert "rx_packets" in status["ways_in"][0]["counters"]


@pytest.mark.parametrize("client", [WireGuardDevice, ConnectedDevice], ids=["wireguard-go", "drpf-connect"])
def test_after_a_kill_the_session_goes_on_without_a_handshake(lab, gateway, client):
    device = client(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    with TcpServer(lab.homes[0], ports[0]):
        visit = connect(lab.inet, lab.gw_v4, ports[0], seconds=60)
        read_line(visit)
        (before,) = peers(gateway).values()
        gateway.kill()
        for number in range(3):  # nobody is there, and the kernel forwards
            visit.sendall(b"alone %d\n" % number)
            assert read_line(visit) == f"alone {number}"
        gateway.start()
        assert gateway.wait_for_ports("laptop") == ports
        visit.sendall(b"again\n")
        assert read_line(visit) == "again"
        assert list(peers(gateway).values()) == [before]
        visit.close()
    assert device


def test_a_device_that_is_away_is_not_let_in_before_it_has_its_ports(lab, gateway):
    file = gateway.add_device("ann", "laptop")
    wait_for(lambda: [row[0] for row in peers(gateway).values()] == ["(none)"], 5, "a peer without prefixes")
    device = ConnectedDevice(lab.homes[0], file)
    gateway.wait_for_ports("laptop")
    wait_for(lambda: "(none)" not in [row[0] for row in peers(gateway).values()], 5, "its prefixes")
    wait_for(lambda: os.path.exists(device.ports_file) and os.path.getsize(device.ports_file), 20, "the gateway has told the device its ports")
    assert device.disconnect() == 0
    wait_for(lambda: [row[0] for row in peers(gateway).values()] == ["(none)"], 5, "a peer without prefixes again")


def test_a_removed_device_is_out_at_once_and_a_stranger_after_a_while(lab, gateway):
    gateway.add_device("ann", "laptop")
    wait_for(lambda: len(peers(gateway)) == 1)
    gateway.cli("device", "remove", "laptop")
    assert not peers(gateway)
    gateway.host.sh("wg set drpf0 peer $(wg genkey | wg pubkey) allowed-ips 10.77.0.99/32")
    wait_for(lambda: not peers(gateway), 30, "the stranger is removed")


def test_a_stopped_gateway_lets_nobody_through_and_the_embedded_engine_can_follow(lab, gateway):
    device = ConnectedDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    assert gateway.stop() == 0
    assert [row[0] for row in peers(gateway).values()] == ["(none)"]
    gateway.write_config("")
    gateway.start()
    assert "wireguard" not in gateway.host.sh("ip -d link show drpf0")
    assert gateway.wait_for_ports("laptop") == ports
    assert device.process.running()


@pytest.mark.parametrize("engine", ["kernel", "embedded"])
def test_the_tunnel_of_somebody_else_is_left_alone(lab, engine):
    lab.gw.sh("ip link add drpf0 type wireguard && wg genkey | wg set drpf0 private-key /dev/stdin peer $(wg genkey | wg pubkey) allowed-ips 10.9.0.2/32")
    before = lab.gw.sh("wg show drpf0 dump")
    gateway = Gateway(lab, "", start=False)
    gateway.write_config(f'[tunnel]\nengine = "{engine}"\n')
    gateway.start(wait=False)
    assert gateway.process.wait(20) != 0
    assert "drpf0 is a WireGuard tunnel with another key" in gateway.log_text() and "ip link delete drpf0" in gateway.log_text()
    assert lab.gw.sh("wg show drpf0 dump") == before


def test_a_link_that_somebody_deletes_ends_the_gateway(gateway):
    gateway.host.sh("ip link delete drpf0")
    began = time.monotonic()
    assert gateway.process.wait(20) != 0, f"after {time.monotonic() - began:.1f} s"
    assert "the tunnel has failed" in gateway.log_text()
