"""`drpf connect` against the real `drpf gateway`."""

import pytest
from gateway import ConnectedDevice
from namespaces import wait_for
from traffic import Capture, TcpServer, UdpServer, tcp_visit, udp_visit

READY_SECONDS_MAX = 20


def connected(host, text, *arguments):
    device = ConnectedDevice(host, text, "--interface", "home", *arguments)
    device.process.wait_for_output("READY with 5 public ports", READY_SECONDS_MAX)
    return device


def ports_in(path):
    with open(path, encoding="ascii") as file:
        return [int(line) for line in file]


@pytest.mark.quick
def test_a_device_is_given_ports_and_reached_through_them(lab, gateway):
    home = lab.homes[0]
    device = connected(home, gateway.add_device("ann", "laptop"))
    ports = ports_in(device.ports_file)
    assert ports == gateway.ports("laptop", state="active") and len(ports) == 5
    assert f"public {lab.gw_v4}:{ports[0]}-{ports[4]} -> this machine:{ports[0]}-{ports[4]} (tcp+udp)" in device.process.output()
    with TcpServer(home, ports[0]) as server, UdpServer(home, ports[1]):
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0]) is not None
        assert tcp_visit(lab.inet, lab.gw_v6, ports[0]) is not None
        assert udp_visit(lab.inet, lab.gw_v4, ports[1]) is not None
        assert server.addresses() == [lab.inet_v4, lab.inet_v6]


def test_a_device_with_nearly_a_thousand_ports_is_told_of_all(lab, gateway):
    """The line that says so is longer than what may wait for a slow reader."""
    home, text = lab.homes[0], gateway.add_device("big", "tower", "business")
    gateway.cli("lease", "add", "tower", "any", "--count", "990")
    device = ConnectedDevice(home, text, "--interface", "home")
    device.process.wait_for_output("READY with 99", 2 * READY_SECONDS_MAX)
    ports = ports_in(device.ports_file)
    assert len(ports) >= 990
    with TcpServer(home, ports[-1]):
        assert tcp_visit(lab.inet, lab.gw_v4, ports[-1]) is not None
    gateway.cli("lease", "add", "tower", "any")
    wait_for(lambda: len(ports_in(device.ports_file)) == len(ports) + 1, READY_SECONDS_MAX, "one port more")


def test_good_bye_closes_the_ports_at_once_and_they_come_back(lab, gateway):
    home = lab.homes[0]
    device = connected(home, gateway.add_device("ann", "laptop"))
    ports = ports_in(device.ports_file)
    with TcpServer(home, ports[0]):
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0]) is not None
        assert device.disconnect() == 0
        assert gateway.ports("laptop", state="active") == []
        assert ports_in(device.ports_file) == []
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=0.5) is None
        device.start()
        wait_for(lambda: ports_in(device.ports_file) == ports, READY_SECONDS_MAX, "the same ports again")
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0]) is not None


@pytest.mark.quick
def test_inbound_only_by_the_gateways_own_file(lab, gateway):
    home = lab.homes[0]
    gateway.add_device("ann", "laptop")
    device = connected(home, gateway.cli("device", "config", "laptop", "--inbound-only"))
    assert "inbound only" in device.process.output()
    ports = ports_in(device.ports_file)
    with TcpServer(home, ports[0]) as server, TcpServer(lab.inet, 80) as outer:
        with Capture(home, "eth0", f"port {ports[0]}") as outside:
            assert tcp_visit(lab.inet, lab.gw_v4, ports[0]) is not None
            assert tcp_visit(lab.inet, lab.gw_v6, ports[0]) is not None
        assert outside.lines == [] and server.addresses() == [lab.inet_v4, lab.inet_v6]
        assert tcp_visit(home, lab.inet_v4, 80).startswith("you are 198.51.100.11 ")
        assert outer.addresses() == ["198.51.100.11"]


def test_a_new_lease_is_shown_and_a_removed_one_too(lab, gateway, tmp_path):
    home, out = lab.homes[0], tmp_path / "hook"
    device = connected(home, gateway.add_device("ann", "laptop"), "--on-change",
                       f"echo $DRPF_EVENT $DRPF_PORTS >>{out}")
    ports = ports_in(device.ports_file)
    gateway.cli("lease", "remove", f"{ports[4]}/tcp")
    gateway.cli("lease", "remove", f"{ports[4]}/udp")
    wait_for(lambda: ports_in(device.ports_file) == ports[:4], 10, "the ports file follows")
    device.process.wait_for_output(f"closed public {lab.gw_v4}:{ports[4]}", 10)
    assert device.disconnect() == 0
    lines = out.read_text().splitlines()
    assert lines[0] == "up " + ",".join(map(str, ports)) and lines[-1] == "down"
    assert "change " + ",".join(map(str, ports[:4])) in lines


@pytest.mark.timeout(240)
def test_the_gateway_is_killed_and_comes_back(lab, gateway):
    home = lab.homes[0]
    device = connected(home, gateway.add_device("ann", "laptop"))
    ports = ports_in(device.ports_file)
    gateway.kill()
    gateway.start()
    with TcpServer(home, ports[0]):
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=1), 60, "visitors come in again", every=0.2)
    assert ports_in(device.ports_file) == ports
