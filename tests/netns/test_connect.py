"""`drpf connect`: the device's side, against a stand-in for the gateway whose behaviour the test chooses."""
import json
import os
import socket

import pytest
from gateway import DRPF, ConnectedDevice
from lab import Plan
from namespaces import wait_for
from stub_gateway import TUNNEL_DEVICE, TUNNEL_DEVICE_V6, StubGateway, leases
from traffic import Capture, TcpServer, UdpServer, tcp_visit, udp_visit

READY_SECONDS_MAX = 15
# Everything but the tunnel's own packets and what every Ethernet has.
# Multicast listener reports (ff02::/16, behind a hop-by-hop header, so that "icmp6" does not match them) never leave the link.
OUTSIDE = "not (udp port 51820) and not arp and not icmp6 and not (ip6 dst net ff02::/16)"


@pytest.fixture
def make_stub(lab):
    stubs = []

    def make(**arguments):
        stubs.append(StubGateway(lab, **arguments))
        return stubs[-1]

    yield make
    for stub in stubs:
        stub.close()


@pytest.fixture
def stub(make_stub):
    return make_stub()


def connect(host, text, *arguments, ready=True):
    device = ConnectedDevice(host, text, "--interface", "home", *arguments)
    if ready:
        device.process.wait_for_output("READY", READY_SECONDS_MAX)
    return device


def network_state(host):
    """Everything that connect may have changed, as text."""
    return host.sh("ip rule; ip -6 rule; ip route show table all; ip -6 route show table all | sed 's/expires [0-9]*sec//'; nft list ruleset; "
                   "ip -o link | cut -d: -f2; sysctl net.ipv4.conf.all.src_valid_mark")


@pytest.mark.quick
def test_full_tunnel_carries_everything_and_leaves_nothing_behind(lab, stub):
    home = lab.homes[0]
    before = network_state(home)
    device = connect(home, stub.configuration())
    assert "public 198.51.100.1:20000-20001 -> this machine:20000-20001 (tcp+udp)" in device.process.output()
    with TcpServer(home, 20000) as server, UdpServer(home, 20001), TcpServer(lab.inet, 80) as outer, UdpServer(lab.inet, 53):
        with Capture(home, "eth0", OUTSIDE) as outside:
            assert tcp_visit(lab.inet, lab.gw_v4, 20000) is not None
            assert udp_visit(lab.inet, lab.gw_v4, 20001) is not None
            assert tcp_visit(lab.inet, lab.gw_v6, 20000) is not None
            assert server.addresses() == [lab.inet_v4, lab.inet_v6]
            assert tcp_visit(home, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ")
            assert tcp_visit(home, lab.inet_v6, 80).startswith(f"you are {lab.gw_v6} ")
            assert udp_visit(home, lab.inet_v4, 53).startswith(f"you are {lab.gw_v4} ")
        assert outer.addresses() == [lab.gw_v4, lab.gw_v6]
    assert outside.lines == []
    assert device.disconnect() == 0
    assert stub.api.goodbyes == 1
    assert network_state(home) == before


@pytest.mark.wall("D11", "a hostile network's routes lead past the tunnel (TunnelVision, TunnelCrack)", None)
def test_no_route_of_a_hostile_network_leads_past_the_tunnel(lab, stub):
    """TunnelVision (a more specific route by DHCP) and TunnelCrack (a public range claimed as local): everything goes through the tunnel all the
    same. A network that claims the gateway's own address can end the tunnel, and then nothing goes anywhere."""
    home = lab.homes[0]
    connect(home, stub.configuration())
    with TcpServer(lab.inet, 80) as server, UdpServer(lab.inet, 53):
        home.sh(f"ip route add {lab.inet_v4}/32 via 192.168.1.1; ip addr add 198.51.100.29/28 dev eth0; ip -6 route add {lab.inet_v6}/128 via {lab.home_v6(1, 1)}")
        with Capture(home, "eth0", OUTSIDE) as outside:
            assert tcp_visit(home, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ")
            assert udp_visit(home, lab.inet_v4, 53).startswith(f"you are {lab.gw_v4} ")
            assert tcp_visit(home, lab.inet_v6, 80).startswith(f"you are {lab.gw_v6} ")
            with home.socket() as bound:  # nor for a program that insists on the other interface
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
                with pytest.raises(OSError):
                    bound.connect((lab.inet_v4, 80))
            home.sh("ip addr add 198.51.100.77/24 dev eth0")
            assert tcp_visit(home, lab.inet_v4, 80, seconds=1) is None
        assert outside.lines == [] and set(server.addresses()) == {lab.gw_v4, lab.gw_v6}


@pytest.mark.wall("D12", "IPv6 leaves beside a tunnel that has none", None)
def test_ipv6_does_not_leak_past_a_tunnel_without_it(lab, make_stub):
    home = lab.homes[0]
    connect(home, make_stub(v6=False).configuration())
    with TcpServer(lab.inet, 80) as server:
        with Capture(home, "eth0", OUTSIDE) as outside:
            assert tcp_visit(home, lab.inet_v6, 80, seconds=1) is None
            assert tcp_visit(home, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ")
        assert outside.lines == [] and server.addresses() == [lab.gw_v4]


@pytest.mark.wall("D12", "IPv6 leaves beside a tunnel that has none", None, "`--no-kill-switch`")
def test_without_the_kill_switch_ipv6_leaves_beside_the_tunnel(lab, make_stub):
    home = lab.homes[0]
    connect(home, make_stub(v6=False).configuration(), "--no-kill-switch")
    with TcpServer(lab.inet, 80) as server:
        assert tcp_visit(home, lab.inet_v6, 80)
        assert server.addresses() != [lab.gw_v6]


@pytest.mark.wall("D11", "a hostile network's routes lead past the tunnel (TunnelVision, TunnelCrack)", None, "`--no-kill-switch`")
def test_the_kill_switch_can_be_left_out(lab, stub):
    home = lab.homes[0]
    connect(home, stub.configuration(), "--no-kill-switch")
    with TcpServer(lab.inet, 80):
        assert tcp_visit(home, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ")
        home.sh(f"ip route add {lab.inet_v4}/32 via 192.168.1.1")
        assert tcp_visit(home, lab.inet_v4, 80).startswith("you are 198.51.100.11 ")


@pytest.mark.quick
@pytest.mark.parametrize("rp_filter", [0, 1])
def test_inbound_only_sends_answers_back_and_nothing_else(lab, stub, rp_filter):
    home = lab.homes[0]
    home.sysctl("net.ipv4.conf.all.rp_filter", rp_filter)
    home.sysctl("net.ipv4.conf.default.rp_filter", rp_filter)
    before = network_state(home)
    device = connect(home, stub.configuration(), "--inbound-only")
    with TcpServer(home, 20000) as server, UdpServer(home, 20001, bind=TUNNEL_DEVICE, versions=(4,)), TcpServer(lab.inet, 80) as outer:
        with Capture(home, "eth0", f"({OUTSIDE}) and (port 20000 or port 20001)") as outside:
            assert tcp_visit(lab.inet, lab.gw_v4, 20000) is not None
            assert tcp_visit(lab.inet, lab.gw_v6, 20000) is not None
            assert udp_visit(lab.inet, lab.gw_v4, 20001) is not None
        assert outside.lines == []
        assert server.addresses() == [lab.inet_v4, lab.inet_v6]
        assert tcp_visit(home, lab.inet_v4, 80).startswith("you are 198.51.100.11 ")
        assert outer.addresses() == ["198.51.100.11"]
    assert device.disconnect() == 0
    assert network_state(home) == before


def test_inbound_only_answers_for_a_machine_behind(lab, stub):
    """A container or a second machine that the device forwards a port to: the mark brings its answers back."""
    home, behind = lab.homes[0], lab.namespaces.host("behind")
    lab.namespaces.link(home, "box0", behind, "eth0")
    home.sh("ip addr add 172.30.0.1/24 dev box0; sysctl -q -w net.ipv4.ip_forward=1")
    behind.sh("ip addr add 172.30.0.2/24 dev eth0; ip route add default via 172.30.0.1")
    home.nft("table ip box { chain pre { type nat hook prerouting priority -100; iifname home tcp dport 20000 dnat to 172.30.0.2; }; }")
    connect(home, stub.configuration(), "--inbound-only")
    with TcpServer(behind, 20000) as server:
        assert tcp_visit(lab.inet, lab.gw_v4, 20000) is not None
        assert server.addresses() == [lab.inet_v4]


def test_full_tunnel_with_strict_reverse_path_check(lab, stub):
    home = lab.homes[0]
    home.sysctl("net.ipv4.conf.all.rp_filter", 1)
    connect(home, stub.configuration())
    with TcpServer(home, 20000):
        assert tcp_visit(lab.inet, lab.gw_v4, 20000) is not None


@pytest.mark.wall("D10", "packets for the tunnel's address from a device's own network", None)
def test_packets_for_the_tunnel_address_from_outside_are_dropped(lab, stub):
    home, router = lab.homes[0], lab.routers[0]
    router.sh(f"ip route add {TUNNEL_DEVICE}/32 via 192.168.1.2; ip -6 route add {TUNNEL_DEVICE_V6}/128 via {lab.home_v6(1, 2)}")
    with TcpServer(home, 20000) as server:
        for mode in ("--inbound-only", "--no-kill-switch"):
            device = connect(home, stub.configuration(), mode)
            assert tcp_visit(router, TUNNEL_DEVICE, 20000, seconds=1) is None
            assert tcp_visit(router, TUNNEL_DEVICE_V6, 20000, seconds=1) is None
            assert device.disconnect() == 0
        assert server.peers == []


@pytest.mark.wall("D10", "packets for the tunnel's address from a device's own network", None, "`drpf connect` is not there")
def test_without_drpf_the_same_packets_arrive(lab):
    home, router = lab.homes[0], lab.routers[0]
    router.sh(f"ip route add {TUNNEL_DEVICE}/32 via 192.168.1.2; ip -6 route add {TUNNEL_DEVICE_V6}/128 via {lab.home_v6(1, 2)}")
    home.sh(f"ip addr add {TUNNEL_DEVICE}/32 dev lo; ip addr add {TUNNEL_DEVICE_V6}/128 dev lo")
    with TcpServer(home, 20000):
        assert tcp_visit(router, TUNNEL_DEVICE, 20000)
        assert tcp_visit(router, TUNNEL_DEVICE_V6, 20000)


def test_after_a_crash_nothing_leaks_and_the_next_start_takes_over(lab, stub):
    home = lab.homes[0]
    before = network_state(home)
    connect(home, stub.configuration()).kill()
    assert network_state(home) != before
    with TcpServer(lab.inet, 80) as outer:
        assert tcp_visit(home, lab.inet_v4, 80, seconds=1) is None
        device = connect(home, stub.configuration())
        assert "took over what an earlier drpf connect left" in device.process.output()
        assert tcp_visit(home, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ")
        assert outer.addresses() == [lab.gw_v4]
    device.kill()
    assert home.run(DRPF, "connect", device.path, "--interface", "home", "--clean-up").returncode == 0
    assert network_state(home) == before


def test_a_second_one_for_the_same_interface_is_refused(lab, stub):
    home = lab.homes[0]
    device = connect(home, stub.configuration())
    second = home.run(DRPF, "connect", device.path, "--interface", "home", check=False)
    assert second.returncode == 73
    assert "in use by another drpf connect (process " in second.stderr and "--interface" in second.stderr
    with TcpServer(home, 20000):
        assert tcp_visit(lab.inet, lab.gw_v4, 20000) is not None
    home.sh("ip link add other type bridge")
    foreign = home.run(DRPF, "connect", device.path, "--interface", "other", check=False)
    assert foreign.returncode == 73 and "not of drpf connect" in foreign.stderr


def test_ports_file_hook_and_json_follow_the_changes(lab, stub, tmp_path):
    home, out = lab.homes[0], tmp_path / "hook"
    command = f"echo $DRPF_EVENT $DRPF_PORTS $DRPF_PORT $DRPF_INTERFACE $DRPF_PUBLIC_ADDRESS {{{{PORTS}}}} {{{{VPN_INTERFACE}}}} >>{out}"
    device = connect(home, stub.configuration(), "--json", "--on-change", command, ready=False)

    def events(name):
        return [event for event in map(json.loads, (line for line in device.process.output().splitlines() if line.startswith("{"))) if event["event"] == name]

    def file_is(text):
        wait_for(lambda: os.path.exists(device.ports_file) and open(device.ports_file, encoding="ascii").read() == text, 10, f"the ports file holds {text!r}")

    wait_for(lambda: events("ready"), READY_SECONDS_MAX, "ready")
    file_is("20000\n20001\n")
    assert os.stat(device.ports_file).st_mode & 0o777 == 0o644
    wait_for(lambda: out.exists() and len(out.read_text().splitlines()) == 1, 5, "the hook has run")
    stub.api.publish(leases(20004, 1))
    file_is("20004\n")
    wait_for(lambda: len(out.read_text().splitlines()) == 2, 5, "the hook has run again")
    stub.api.publish(leases(20004, 1))  # nothing new: nobody is told
    assert device.disconnect() == 0
    file_is("")
    assert out.read_text().splitlines() == ["up 20000,20001 20000 home 198.51.100.1 20000,20001 home",
                                            "change 20004 20004 home 198.51.100.1 20004 home", "down home home"]
    assert [len(event["ports"]) for event in events("ports")] == [4, 2]
    assert {port["public_port"] for port in events("ports")[1]["removed"]} == {20000, 20001}
    assert [event["event"] for event in (events("started") + events("connected") + events("stopped"))] == ["started", "connected", "stopped"]


@pytest.mark.timeout(240)
def test_it_comes_back_when_the_gateway_was_away(lab, stub):
    home = lab.homes[0]
    connect(home, stub.configuration())
    stub.kill()
    stub.restart()
    with TcpServer(home, 20000):
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20000, seconds=1), 60, "visitors come in again", every=0.2)


def test_it_starts_before_the_gateway_does(lab, stub):
    home = lab.homes[0]
    stub.kill()
    device = connect(home, stub.configuration(), ready=False)
    device.process.wait_for_output("full tunnel", 10)
    stub.restart()
    device.process.wait_for_output("READY", 60)


def test_it_follows_a_change_of_its_own_address(lab, stub):
    home = lab.homes[0]
    connect(home, stub.configuration())
    with TcpServer(home, 20000):
        assert tcp_visit(lab.inet, lab.gw_v4, 20000) is not None
        home.sh("ip addr add 192.168.1.7/24 dev eth0; ip addr del 192.168.1.2/24 dev eth0; ip addr add 192.168.1.7/24 dev eth0 2>/dev/null || true; "
                "ip route replace default via 192.168.1.1")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20000, seconds=0.5), 5, "visitors come in again", every=0.1)


def test_it_follows_the_gateways_name(make_lab, tmp_path):
    lab = make_lab(homes=1, plan=Plan(gateway=[1, 2]))
    stub, home, hosts = StubGateway(lab, endpoint="vpn.example.net"), lab.homes[0], tmp_path / "hosts"
    try:
        hosts.write_text(f"{lab.gw_v4} vpn.example.net\n")
        home.sh(f"mount --bind {hosts} /etc/hosts")
        device = connect(home, stub.configuration())
        hosts.write_text("198.51.100.2 vpn.example.net\n")
        lab.gw.sh("ip addr del 198.51.100.1/24 dev wan; ip addr add 198.51.100.2/24 dev wan 2>/dev/null || true; ip route replace default via 198.51.100.254")
        device.process.wait_for_output("trying the gateway at 198.51.100.2:51820", 90)
        with TcpServer(home, 20000):
            wait_for(lambda: home.run("ping", "-c1", "-W1", "10.77.0.1", check=False).returncode == 0, 30, "the tunnel carries packets again")
    finally:
        stub.close()


class NameServer(UdpServer):
    """Answers every question for an IPv4 address with `address`, and says that there is no other."""

    def __init__(self, host, address):
        self.address = address
        super().__init__(host, 53, versions=(4,))

    def _serve(self, receiver):
        while not self.closing.is_set():
            try:
                query, peer = receiver.recvfrom(512)
            except TimeoutError:
                continue
            except OSError:
                return
            self.peers.append(peer)
            question = query[12:query.index(0, 12) + 5]
            is_a = question[-4:] == bytes([0, 1, 0, 1])
            record = bytes([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]) + socket.inet_aton(self.address) if is_a else b""
            receiver.sendto(query[:2] + bytes([0x81, 0x80, 0, 1, 0, int(is_a), 0, 0, 0, 0]) + question + record, peer)


def test_a_dead_tunnel_does_not_keep_the_gateways_name_from_being_found(make_lab):
    """The machine's only name server is on the Internet, and the only way there is the tunnel: the look-up has to go outside by its mark."""
    lab = make_lab(homes=1, plan=Plan(gateway=[1, 2]))
    stub, home = StubGateway(lab, endpoint="vpn.example.net"), lab.homes[0]
    try:
        with NameServer(lab.inet, lab.gw_v4) as names:
            home.sh(f"echo 'nameserver {lab.inet_v4}' >/run/resolv.conf")
            device = connect(home, stub.configuration())
            names.address = "198.51.100.2"
            lab.gw.sh("ip addr del 198.51.100.1/24 dev wan; ip addr add 198.51.100.2/24 dev wan 2>/dev/null || true; ip route replace default via 198.51.100.254")
            device.process.wait_for_output("trying the gateway at 198.51.100.2:51820", 90)
            wait_for(lambda: home.run("ping", "-c1", "-W1", "10.77.0.1", check=False).returncode == 0, 30, "the tunnel carries packets again")
    finally:
        stub.close()


def test_what_is_missing_is_said(lab, stub, tmp_path):
    home = lab.homes[0]
    path = tmp_path / "home.conf"
    path.write_text(stub.configuration())
    path.chmod(0o644)

    def run(*before, text=None, arguments=()):
        if text is not None:
            path.write_text(text)
        return home.run(*before, DRPF, "connect", path, *arguments, check=False)

    absent = home.run(DRPF, "connect", tmp_path / "absent.conf", check=False)
    assert absent.returncode == 66 and "absent.conf" in absent.stderr
    unprivileged = run("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    assert unprivileged.returncode == 77 and "CAP_NET_ADMIN" in unprivileged.stderr and "sudo" in unprivileged.stderr
    assert "open to everybody" in unprivileged.stderr
    home.sh("mount -t tmpfs tmpfs /dev/net")
    no_tun = run()
    assert no_tun.returncode == 69 and "/dev/net/tun" in no_tun.stderr and "modprobe tun" in no_tun.stderr
    home.sh("umount /dev/net")
    malformed = run(text=stub.configuration().replace("AllowedIPs = 0.0.0.0/0", "AllowedIPs = 0.0.0.0/99"))
    assert malformed.returncode == 65 and f"{path}:7: AllowedIPs" in malformed.stderr
    no_endpoint = run(text="\n".join(line for line in stub.configuration().splitlines() if "Endpoint" not in line))
    assert no_endpoint.returncode == 65 and "Endpoint" in no_endpoint.stderr
    bad_name = run(text=stub.configuration(), arguments=("--interface", "a-name-that-is-too-long"))
    assert bad_name.returncode == 64 and "--interface" in bad_name.stderr
    assert network_state(home).count("drpf_connect") == 0


def test_an_ordinary_user_has_it_in_a_network_of_its_own(lab, stub):
    """User and network namespace, as `unshare -rn` makes them; no way out of it, so nothing connects: it sets up, waits, and cleans up."""
    home, path = lab.homes[0], "/run/home.conf"
    home.run("tee", path, stdin=stub.configuration())
    home.sh("mount -t tmpfs tmpfs /dev/net; mknod -m 666 /dev/net/tun c 10 200")  # as distributions have it
    script = (f"ip link set lo up; ip link add eth0 type bridge; ip addr add 192.168.9.2/24 dev eth0; ip link set eth0 up; ip route add default via 192.168.9.1; "
              f"{DRPF} connect {path} & for i in $(seq 100); do ip rule | grep -q 'not from all' && break; sleep 0.1; done; "
              "ip rule; nft list tables; kill %1; wait %1; echo code $?; ip rule; nft list tables")
    result = home.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-rn", "bash", "-c", script, check=False)
    assert "not from all fwmark" in result.stdout and "table inet drpf_connect_home" in result.stdout, result.stdout + result.stderr
    after = result.stdout.split("code 0")[1]
    assert "fwmark" not in after and "drpf_connect" not in after
