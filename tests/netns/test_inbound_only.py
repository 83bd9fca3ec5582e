"""`drpf device config --inbound-only` with stock wg-quick: visitors are answered through the tunnel, everything else keeps its own way."""
import json
import os

import pytest
from gateway import WgQuickFile
from namespaces import wait_for
from traffic import TcpServer, UdpServer, connect, read_line, tcp_visit, udp_visit

WG_QUICK = {"WG_QUICK_USERSPACE_IMPLEMENTATION": "wireguard-go", "LOG_LEVEL": "error"}


class InboundOnlyDevice:
    def __init__(self, lab, gateway, host, name):
        gateway.add_device("ann", name)
        self.host, self.gateway, self.name = host, gateway, name
        self.path = os.path.join(lab.folder, "wg0.conf")
        self.file = WgQuickFile(gateway.cli("device", "config", name, "--inbound-only"))
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.file.text)
        os.chmod(self.path, 0o600)
        self.log = os.path.join(lab.folder, "00-wg-quick.log")
        self.before = self.traces()

    def up(self):
        # wireguard-go stays and would hold a pipe open.
        self.host.sh(f"wg-quick up {self.path} >{self.log} 2>&1 || {{ cat {self.log} >&2; exit 1; }}", env=WG_QUICK)
        self.ports = self.gateway.wait_for_ports(self.name)

    def down(self):
        self.host.run("wg-quick", "down", self.path, env=WG_QUICK)

    def traces(self):
        """Everything that it might leave behind."""
        commands = ("nft list ruleset", "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all", "ip -o link")
        return {command: self.host.run(*command.split()).stdout for command in commands}


@pytest.fixture
def nas(lab, gateway):
    home = lab.homes[0]
    # The strictest kernel setting and a machine that forwards, as one with containers does.
    home.sh("sysctl -q -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1 net.ipv4.ip_forward=1")
    device = InboundOnlyDevice(lab, gateway, home, "nas")
    device.up()
    return device


@pytest.mark.quick
def test_visitors_are_answered_and_seen_as_themselves(lab, nas):
    port = nas.ports[0]
    with TcpServer(nas.host, port) as tcp, UdpServer(nas.host, port) as udp:  # on all addresses, as most servers listen
        for public, visitor in ((lab.gw_v4, lab.inet_v4), (lab.gw_v6, lab.inet_v6)):
            assert (tcp_visit(lab.inet, public, port) or "").startswith(f"you are {visitor} ")
            assert (udp_visit(lab.inet, public, port) or "").startswith(f"you are {visitor} ")
        assert set(tcp.addresses()) == set(udp.addresses()) == {lab.inet_v4, lab.inet_v6}
        assert [row["finding"] for row in nas.gateway.cli_json("lease", "test", port)] == ["answers"] * 4


def test_the_devices_own_traffic_stays_outside(lab, nas):
    with TcpServer(lab.inet, 80), UdpServer(lab.inet, 53):
        assert tcp_visit(nas.host, lab.inet_v4, 80).startswith("you are 198.51.100.11 ")
        assert udp_visit(nas.host, lab.inet_v4, 53).startswith("you are 198.51.100.11 ")
        assert tcp_visit(nas.host, lab.inet_v6, 80).startswith("you are 2001:db8:a1::2 ")


def test_the_same_server_still_serves_the_lan(lab, nas):
    machine = lab.add_machine("tv", 1, 3)
    lab.routers[0].sh("sysctl -q -w net.bridge.bridge-nf-call-iptables=0")  # the router's rules are not meant for its switch
    port = nas.ports[0]
    with TcpServer(nas.host, port), UdpServer(nas.host, port):
        assert udp_visit(lab.inet, lab.gw_v4, port)
        assert tcp_visit(machine, "192.168.1.2", port).startswith("you are 192.168.1.3 ")
        assert udp_visit(machine, "192.168.1.2", port).startswith("you are 192.168.1.3 ")


@pytest.mark.parametrize("version", [4, 6])
def test_much_data_goes_both_ways(lab, nas, version):
    """More than a segment: what the tunnel's smaller MTU would stall."""
    data = os.urandom(1 << 20)
    with TcpServer(nas.host, nas.ports[0]), connect(lab.inet, lab.gw_v4 if version == 4 else lab.gw_v6, nas.ports[0], seconds=20) as visit:
        read_line(visit)
        received = b""
        for offset in range(0, len(data), 65536):
            visit.sendall(data[offset:offset + 65536])
            while len(received) < offset + 65536:
                received += visit.recv(65536)
        assert received == data


def test_a_container_behind_the_device_answers_too(lab, nas):
    box = lab.namespaces.host("box")
    lab.namespaces.link(nas.host, "docker0", box, "eth0")
    nas.host.sh("ip addr add 172.17.0.1/24 dev docker0")
    box.sh("ip addr add 172.17.0.2/24 dev eth0; ip route add default via 172.17.0.1")
    nas.host.sh("nft 'add table ip docker; add chain ip docker pre { type nat hook prerouting priority -100; }' && "
                f"nft 'add rule ip docker pre meta l4proto {{ tcp, udp }} th dport {nas.ports[1]} dnat to 172.17.0.2'")
    with TcpServer(box, nas.ports[1], versions=(4,)), UdpServer(box, nas.ports[1], versions=(4,)):
        assert (tcp_visit(lab.inet, lab.gw_v4, nas.ports[1]) or "").startswith(f"you are {lab.inet_v4} ")
        assert (udp_visit(lab.inet, lab.gw_v4, nas.ports[1]) or "").startswith(f"you are {lab.inet_v4} ")
    # It masquerades, too, and still nobody behind asks for its ports in its name.
    nas.host.sh("nft 'add chain ip docker post { type nat hook postrouting priority 100; }; add rule ip docker post ip saddr 172.17.0.0/16 masquerade'")
    assert box.run("curl", "-s", "--max-time", "1", "http://10.77.0.1:5351/v1/self", check=False).stdout == ""
    nas.host.run("nft", "flush", "chain", "inet", "drpf-wg0", "ask")
    assert "nas" in box.run("curl", "-s", "--max-time", "5", "http://10.77.0.1:5351/v1/self").stdout


def test_the_gateway_tells_the_device_its_ports(lab, nas):
    for address in ("10.77.0.1", f"[{nas.file.gateway6()}]"):
        answer = json.loads(nas.host.run("curl", "-s", "--max-time", "5", f"http://{address}:5351/v1/self").stdout)
        assert answer["device"] == "nas"
        assert sorted({lease["public_port"] for lease in answer["leases"]}) == nas.ports


def test_down_leaves_nothing_behind(nas):
    nas.down()
    assert nas.traces() == nas.before


def test_up_again_after_the_tunnel_was_killed(lab, nas):
    nas.host.run("kill", "-9", nas.host.run("pgrep", "-x", "wireguard-go").stdout.strip())
    wait_for(lambda: nas.host.run("ip", "link", "show", "wg0", check=False).returncode != 0, 10, "the interface is gone")
    nas.up()
    with TcpServer(nas.host, nas.ports[0]):
        assert (tcp_visit(lab.inet, lab.gw_v4, nas.ports[0]) or "").startswith(f"you are {lab.inet_v4} ")
    nas.down()
    assert nas.traces() == nas.before
