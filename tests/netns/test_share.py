"""`drpf connect --share`: a console behind the device asks with its own programs, and a visitor from the Internet reaches it."""
import re

import pytest
from gateway import ConnectedDevice, Gateway
from lab import Plan
from namespaces import wait_for
from test_port_mapping import exchange
from traffic import TcpServer, UdpServer, connect, tcp_visit, udp_visit

# upnpc believes in no gateway whose address is private or for documentation. These are nobody's inside a namespace.
PUBLIC = Plan(v4="9.9.9.0/24")
READY_SECONDS_MAX = 20
ROUTER = "192.168.50.1"


class Machine:
    """In the network behind the device; the device is its router."""

    def __init__(self, lab, device, number):
        self.host = lab.namespaces.host(f"machine{number}")
        self.address = f"192.168.50.{number}"
        lab.namespaces.link(device, f"port{number}", self.host, "eth0")
        device.sh(f"ip link set port{number} master lan0")
        self.host.sh(f"ip addr add {self.address}/24 dev eth0; ip route add default via {ROUTER}")

    def upnpc(self, *arguments):
        result = self.host.run("upnpc", "-u", f"http://{ROUTER}:5351/upnp", *map(str, arguments), check=False, seconds=40)
        return result.stdout + result.stderr

    def natpmpc(self, *arguments):
        result = self.host.run("natpmpc", "-g", ROUTER, *map(str, arguments), check=False, seconds=40)
        return result.stdout + result.stderr


class Home:
    """A device with a network behind it."""

    def __init__(self, lab, gateway, *arguments, mode=("--inbound-only",), forwarding=1):
        self.lab, self.gateway, self.host = lab, gateway, lab.homes[0]
        self.host.sh("ip link add lan0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0 && ip link set lan0 up && "
                     f"ip addr add {ROUTER}/24 dev lan0 && sysctl -q -w net.ipv4.ip_forward={forwarding}")
        self.console, self.other = Machine(lab, self.host, 10), Machine(lab, self.host, 11)
        self.arguments = ("--interface", "home", "--share", "lan0", *mode, *arguments)
        self.device = ConnectedDevice(self.host, gateway.add_device("ann", "laptop"), *self.arguments)
        self.device.process.wait_for_output("READY", READY_SECONDS_MAX)
        self.device.process.wait_for_output("shared with lan0", READY_SECONDS_MAX)
        self.ports = gateway.wait_for_ports("laptop")

    def elements(self):
        text = self.host.run("nft", "list", "table", "inet", "drpf_share_home", check=False).stdout
        return re.findall(r"(tcp|udp) \. (\d+) [^:,]*: ([0-9.]+) \. (\d+)", text)

    def lead(self, port, protocol="tcp"):
        """Where a public port leads on the device."""
        return [row["local_port"] for row in self.gateway.leases("laptop", "active") if row["public_port"] == port and row["protocol"] == protocol][0]


@pytest.fixture
def home(make_lab):
    lab = make_lab(plan=PUBLIC)
    return Home(lab, Gateway(lab))


@pytest.mark.quick
def test_a_console_gets_a_public_port_by_upnp(home):
    lab, console, port = home.lab, home.console, home.ports[-1]
    found = console.host.run("upnpc", "-s", check=False, seconds=40).stdout  # by a search
    assert f"http://{ROUTER}:5351/upnp/control/connection" in found and f"ExternalIPAddress = {lab.gw_v4}" in found, found
    added = console.upnpc("-a", "@", 3074, port, "UDP", 3600)
    assert f"external {lab.gw_v4}:{port} UDP is redirected to internal {console.address}:3074" in added, added
    any_port = console.upnpc("-n", "@", 3074, 12345, "TCP", 3600)
    assert f"external {lab.gw_v4}:{port} TCP is redirected to internal {console.address}:3074" in any_port, "TCP and UDP of one program have one number"
    with TcpServer(console.host, 3074) as tcp, UdpServer(console.host, 3074) as udp:
        assert (tcp_visit(lab.inet, lab.gw_v4, port) or "").startswith(f"you are {lab.inet_v4} ")
        assert (udp_visit(lab.inet, lab.gw_v4, port) or "").startswith(f"you are {lab.inet_v4} ")
        assert tcp.addresses() == udp.addresses() == [lab.inet_v4], "it sees the visitor itself"
    listed = console.upnpc("-l")
    assert re.search(rf"UDP +{port}->{console.address}:3074", listed) and re.search(rf"TCP +{port}->{console.address}:3074", listed), listed
    assert "->" not in home.other.upnpc("-l").split("description")[1].split("GetGeneric")[0], "another machine sees nothing of it"

    assert "returned : 0" in console.upnpc("-d", port, "TCP")
    wait_for(lambda: home.lead(port) == port, 5, "the lease upstream has ended")
    with TcpServer(console.host, 3074), UdpServer(console.host, 3074):
        assert tcp_visit(lab.inet, lab.gw_v4, port, seconds=1) is None
        assert udp_visit(lab.inet, lab.gw_v4, port)
    assert "returned : 0" in console.upnpc("-d", port, "UDP")
    assert home.elements() == []


def test_natpmpc_gets_one_and_gives_it_back(home):
    lab, console = home.lab, home.console
    answer = console.natpmpc("-a", 0, 6881, "tcp", 3600)
    port = int(re.search(r"Mapped public port (\d+) protocol TCP to local port 6881 liftime 3600", answer)[1])
    assert port in home.ports and f"Public IP address : {lab.gw_v4}" in answer, answer
    assert f"Mapped public port {port} protocol UDP" in console.natpmpc("-a", 0, 6881, "udp", 3600)
    with TcpServer(console.host, 6881), UdpServer(console.host, 6881):
        assert (tcp_visit(lab.inet, lab.gw_v4, port) or "").startswith(f"you are {lab.inet_v4} ")
        assert udp_visit(lab.inet, lab.gw_v4, port)
        with connect(lab.inet, lab.gw_v4, port) as visit:  # stands when the mapping is deleted
            visit.settimeout(3)
            visit.recv(100)
            console.natpmpc("-a", 0, 6881, "tcp", 0)
            assert tcp_visit(lab.inet, lab.gw_v4, port, seconds=1) is None
    assert [protocol for protocol, *_ in home.elements()] == ["udp"]


def test_a_second_machine_has_its_own_and_touches_no_other(home):
    lab, console, other = home.lab, home.console, home.other
    port = home.ports[-1]
    console.upnpc("-a", "@", 3074, port, "UDP", 3600)
    assert "code 718" in other.upnpc("-a", "@", 3074, port, "UDP", 3600)
    assert "code 606" in other.upnpc("-a", console.address, 3074, home.ports[0], "UDP", 3600), "for another nobody maps"
    assert "714" in other.upnpc("-d", port, "UDP")
    other.natpmpc("-a", 0, 0, "udp", 0)
    second = int(re.search(rf"external {lab.gw_v4}:(\d+) UDP", other.upnpc("-n", "@", 3074, port, "UDP", 3600))[1])
    assert second != port
    with UdpServer(console.host, 3074) as first_server, UdpServer(other.host, 3074) as second_server:
        assert udp_visit(lab.inet, lab.gw_v4, port) and len(first_server.addresses()) == 1
        assert udp_visit(lab.inet, lab.gw_v4, second) and len(second_server.addresses()) == 1


def test_the_plans_end_is_told_with_its_own_codes(home):
    console, other = home.console, home.other
    share = (len(home.ports) + 1) // 2
    for number in range(share):
        assert "Mapped public port" in console.natpmpc("-a", 0, 7000 + number, "tcp", 3600)
    assert "FAILED" in console.natpmpc("-a", 0, 7999, "tcp", 3600), "half of the device's ports are one machine's share"
    for number in range(len(home.ports) - share):
        assert "Mapped public port" in other.natpmpc("-a", 0, 7100 + number, "tcp", 3600)
    assert "TRYAGAIN" not in (refused := other.natpmpc("-a", 0, 7000, "tcp", 3600)) and "FAILED" in refused, refused
    assert "code 728" in other.upnpc("-n", "@", 7000, 7000, "TCP", 3600)


def test_the_end_closes_both_redirects(home):
    lab, console, port = home.lab, home.console, home.ports[-1]
    console.upnpc("-a", "@", 3074, port, "TCP", 3600)
    assert home.device.disconnect() == 0
    assert "drpf" not in home.host.run("nft", "list", "ruleset").stdout
    assert "drpf" not in console.upnpc("-l")
    # Killed, it leaves what ends by itself; the next start clears it.
    home.device.start()
    home.device.process.wait_for_output("shared with lan0", READY_SECONDS_MAX)
    home.device.process.wait_for_output("READY", READY_SECONDS_MAX)
    wait_for(lambda: "is redirected" in console.upnpc("-a", "@", 3074, port, "TCP", 3600), 10, "the port is mapped again")
    home.device.kill()
    text = home.host.run("nft", "list", "table", "inet", "drpf_share_home").stdout
    assert text.count("expires") == 2 and "timeout" in text
    home.device.start()
    home.device.process.wait_for_output("shared with lan0", READY_SECONDS_MAX)
    assert home.elements() == []
    with TcpServer(console.host, 3074):
        assert tcp_visit(lab.inet, lab.gw_v4, port, seconds=1) is None


def test_a_host_that_is_no_router_forwards_answers_only_and_only_as_long(make_lab):
    lab = make_lab(plan=PUBLIC)
    home = Home(lab, Gateway(lab), forwarding=0)
    console, port = home.console, home.ports[-1]
    console.upnpc("-a", "@", 3074, port, "TCP", 3600)
    with TcpServer(console.host, 3074), TcpServer(lab.inet, 80):
        assert (tcp_visit(lab.inet, lab.gw_v4, port) or "").startswith(f"you are {lab.inet_v4} ")
        assert tcp_visit(home.other.host, lab.inet_v4, 80, seconds=1) is None, "nobody uses it as a router"
        # What the gateway sends into the local network without a mapping does not arrive there.
        lab.gw.sh("ip route add 192.168.50.0/24 dev drpf0")
        assert tcp_visit(lab.gw, console.address, 3074, seconds=1) is None
    # On other interfaces nobody answers, whatever address of the device is asked.
    for host, address in ((lab.gw, "10.77.0.2"), (lab.routers[0], "192.168.1.2"), (lab.routers[0], ROUTER)):
        host.run("ip", "route", "replace", f"{ROUTER}/32", "via", "192.168.1.2", check=False)
        assert exchange(host, b"\0\0", to=address, seconds=0.5) is None
        assert tcp_visit(host, address, 5351, seconds=1) is None
    assert exchange(console.host, b"\0\0", to=ROUTER) is not None
    # Programs of the device itself find the gateway by its routes.
    assert "using gateway : 10.77.0.1" in home.host.run("natpmpc").stdout
    # What another program takes away is put back, and an interface that is renamed forwards no more.
    with TcpServer(console.host, 3074):
        home.host.sh("nft flush ruleset")
        home.device.process.wait_for_output("repaired: the rules for sharing with lan0", 5)
        assert tcp_visit(lab.inet, lab.gw_v4, port)
    home.host.sh("ip link set lan0 down; ip link set lan0 name lan9; ip link set lan9 up")
    wait_for(lambda: home.host.sysctl("net.ipv4.conf.lan9.forwarding") == "0", 5, "nothing is shared, so nothing is forwarded")
    home.host.sh("ip link set lan9 down; ip link set lan9 name lan0; ip link set lan0 up")
    wait_for(lambda: home.host.sysctl("net.ipv4.conf.lan0.forwarding") == "1", 5, "and again")
    home.device.disconnect()
    assert home.host.sysctl("net.ipv4.conf.lan0.forwarding") == "0"
    assert "0.0.0.0/8" not in home.host.run("ip", "route").stdout


def test_beside_the_router_machines_are_reached_under_our_address(make_lab):
    lab = make_lab(plan=PUBLIC)
    gateway, device = Gateway(lab), lab.homes[0]
    lab.routers[0].sh("sysctl -q -w net.bridge.bridge-nf-call-iptables=0")  # the router's rules are not meant for its switch
    machine = lab.add_machine("tv", 1, 3)
    connected = ConnectedDevice(device, gateway.add_device("ann", "laptop"), "--interface", "home", "--share", "eth0", "--inbound-only")
    connected.process.wait_for_output("visitors appear there under this machine's address", READY_SECONDS_MAX)
    port = gateway.wait_for_ports("laptop")[-1]
    url = "http://192.168.1.2:5351/upnp"
    wait_for(lambda: "is redirected" in machine.run("upnpc", "-u", url, "-a", "@", "3074", port, "UDP", "3600", check=False, seconds=40).stdout, 10, "a mapping")
    with UdpServer(machine, 3074) as server:
        assert udp_visit(lab.inet, lab.gw_v4, port)
        assert server.addresses() == ["192.168.1.2"]


def test_with_all_traffic_in_the_tunnel_and_the_end_upstream(make_lab):
    lab = make_lab(plan=PUBLIC)
    home = Home(lab, Gateway(lab), mode=())
    console, port = home.console, home.ports[-1]
    console.upnpc("-a", "@", 3074, port, "TCP", 3600)
    with TcpServer(console.host, 3074) as server:
        assert tcp_visit(lab.inet, lab.gw_v4, port)
        assert server.addresses() == [lab.inet_v4]
    home.gateway.cli("lease", "remove", f"{port}/tcp")
    wait_for(lambda: home.elements() == [], 5, "the second redirect ends with the first")
    console.upnpc("-a", "@", 3074, home.ports[0], "TCP", 3600)
    home.host.sh("ip link set lan0 down")
    wait_for(lambda: home.lead(home.ports[0]) == home.ports[0], 10, "without the interface nothing is leased for it")
