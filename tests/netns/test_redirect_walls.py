"""What the gateway's rules let through and what not, IPv4 and IPv6: default-deny, source addresses, devices among themselves."""
import random
import socket
import struct
import time

import pytest
from namespaces import wait_for
from redirect_lab import CABLE_MAC, RedirectLab, Stream, drain, new_socket, receive_all
from traffic import Capture, TcpServer, UdpServer, connect, read_line, syn_scan, tcp_visit, udp_scan, udp_visit

VERSIONS = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture
def net(make_lab):
    return RedirectLab(make_lab(homes=0))


@VERSIONS
def test_without_leases_only_the_named_services_answer(net, version):
    net.start()
    with TcpServer(net.gw, 22), TcpServer(net.gw, 8080), TcpServer(net.gw, 20000), UdpServer(net.gw, 53), UdpServer(net.gw, 20000), \
            UdpServer(net.gw, 51820), TcpServer(net.a.host, 20000), net.a.udp_server(version, 20000):
        assert syn_scan(net.inet, net.public(version), range(1, 65536)) == {22: "open"}
        assert udp_scan(net.inet, net.public(version), range(1, 2000)) == set()
        assert udp_scan(net.inet, net.public(version), [20000, 40000, 51820, 55000]) == {51820}


@VERSIONS
@pytest.mark.quick
def test_the_device_sees_the_visitor_and_other_ports_stay_closed(net, version):
    net.start()
    net.change(("install", 5, "tcp", version, 20000, net.a, 110), ("install", 6, "udp", version, 20000, net.a, 53))
    with TcpServer(net.a.host, 110), net.a.udp_server(version, 53):
        assert tcp_visit(net.inet, net.public(version), 20000).startswith(f"you are {net.visitor(version)} ")
        assert udp_visit(net.inet, net.public(version), 20000).startswith(f"you are {net.visitor(version)} ")
        assert syn_scan(net.inet, net.public(version), range(19990, 20010)) == {20000: "open"}
        assert tcp_visit(net.inet, net.public(version), 110, seconds=0.5) is None


@VERSIONS
@pytest.mark.parametrize("rp_filter", [1, 2])
def test_the_reverse_path_check_of_the_host_does_no_harm(net, version, rp_filter):
    net.gw.sysctl("net.ipv4.conf.all.rp_filter", rp_filter)
    net.start()
    net.change(("install", 5, "tcp", version, 20000, net.a))
    with TcpServer(net.a.host, 20000), TcpServer(net.inet, 80):
        assert tcp_visit(net.inet, net.public(version), 20000) is not None
        with net.a.socket(version, socket.SOCK_STREAM) as outbound:
            outbound.settimeout(5)
            outbound.connect((net.visitor(version), 80))
            assert read_line(outbound).startswith(f"you are {net.public(version)} ")


@VERSIONS
def test_what_a_device_sends_leaves_from_the_source_range(net, version):
    net.start()
    ports = set()
    with TcpServer(net.inet, 80) as server, UdpServer(net.inet, 53) as udp:
        for _ in range(20):
            with net.a.socket(version, socket.SOCK_STREAM) as outbound:
                outbound.settimeout(5)
                outbound.connect((net.visitor(version), 80))
                read_line(outbound)
            with net.a.socket(version, socket.SOCK_DGRAM, random.randint(10000, 31999)) as outbound:
                outbound.settimeout(5)
                outbound.sendto(b"x", (net.visitor(version), 53))
                outbound.recv(100)
        for address, port in server.peers + udp.peers:
            assert address == net.public(version)
            assert 32768 <= port <= 51199
            ports.add(port)
    assert len(ports) > 20


@VERSIONS
def test_devices_do_not_reach_each_other(net, version):
    net.start()
    net.change(("install", 5, "tcp", version, 20001, net.b), ("install", 6, "udp", version, 20001, net.b))
    with TcpServer(net.b.host, 20001) as tcp, net.b.udp_server(version, 20001) as udp:
        for address in (net.b.address(version), net.public(version)):  # by its tunnel address, and by its lease
            with net.a.socket(version, socket.SOCK_STREAM) as visit, net.a.socket(version, socket.SOCK_DGRAM) as datagram:
                visit.settimeout(0.7)
                with pytest.raises(OSError):
                    visit.connect((address, 20001))
                datagram.sendto(b"x", (address, 20001))
        time.sleep(0.2)
        assert tcp.peers == [] and udp.peers == []
        assert net.counter("device_to_device") > 0
        assert tcp_visit(net.inet, net.public(version), 20001) is not None  # the lease itself works


@VERSIONS
def test_the_tunnel_reaches_only_the_device_services_of_the_gateway(net, version):
    net.start()
    inside = "10.77.0.1" if version == 4 else "fd77::1"
    with TcpServer(net.gw, 22), TcpServer(net.gw, 5351), UdpServer(net.gw, 5351), UdpServer(net.gw, 51820):
        def reaches(kind, address, port):
            with net.a.socket(version, kind) as visit:
                visit.settimeout(0.5)
                try:
                    visit.connect((address, port))
                    visit.send(b"x")
                    return bool(visit.recv(100))
                except OSError:
                    return False
        assert reaches(socket.SOCK_STREAM, inside, 5351)
        assert reaches(socket.SOCK_DGRAM, inside, 5351)
        for address in (inside, net.public(version)):
            assert not reaches(socket.SOCK_STREAM, address, 22)
            assert not reaches(socket.SOCK_DGRAM, address, 51820)
        assert not reaches(socket.SOCK_STREAM, net.public(version), 5351)
        assert tcp_visit(net.inet, net.public(version), 5351, seconds=0.5) is None
    net.a.host.run("ping", "-c1", "-W2", "-I", net.a.address(version), inside)
    net.a.host.run("ping", "-c1", "-W2", "-I", net.a.address(version), net.visitor(version))


def packet_v4(source, destination, source_port, destination_port, payload=b"spoofed"):
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
    return head[:10] + struct.pack("!H", checksum) + head[12:] + udp


def packet_v6(source, destination, source_port, destination_port, payload=b"spoofed"):
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    data = ends + struct.pack("!II", len(udp), 17) + udp + (b"\0" if len(udp) % 2 else b"")
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    udp = udp[:6] + struct.pack("!H", 0xFFFF - total) + udp[8:]
    return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends + udp


def spoof_from_tunnel(net, version):
    source = "203.0.113.9" if version == 4 else "2001:db8:bad::9"
    packet = (packet_v4 if version == 4 else packet_v6)(source, net.visitor(version), 4000, 4000)
    kind = 0x0800 if version == 4 else 0x86DD
    with new_socket(net.inet, version, socket.SOCK_DGRAM, 4000) as receiver, net.engine.socket(socket.AF_PACKET, socket.SOCK_DGRAM, kind) as sender:
        for _ in range(3):
            sender.sendto(packet, ("gateway", kind, 0, 0, bytes.fromhex(CABLE_MAC)))
        return receive_all(receiver, 0.7)


@VERSIONS
def test_a_device_cannot_send_with_a_false_source(net, version):
    net.start()
    before = net.counter(f"tunnel_source{version}")
    assert spoof_from_tunnel(net, version) == []
    assert net.counter(f"tunnel_source{version}") >= before + 3


@VERSIONS
def test_taking_the_source_wall_away_lets_it_out(net, version):
    """The proof that the test above tests something."""
    net.start(f"without tunnel_source{version}", "without tunnel_source_route")
    assert [data for data, _ in spoof_from_tunnel(net, version)] == [b"spoofed"] * 3


@VERSIONS
def test_nobody_outside_speaks_with_a_tunnel_address(net, version):
    net.start()
    net.change(("install", 6, "udp", version, 20000, net.a))
    net.inet.sh("ip route add 10.77.0.0/16 via 198.51.100.1; ip -6 route add fd77::/64 via 2001:db8:51::1")
    with net.a.udp_server(version, 20000) as server:
        assert udp_visit(net.inet, net.a.address(version), 20000, seconds=0.5, tries=2) is None  # to a tunnel address
        net.inet.sh(f"ip addr add {'10.77.0.9/32' if version == 4 else 'fd77::9/128'} dev eth0")  # from a tunnel address
        with net.inet.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.bind(("10.77.0.9" if version == 4 else "fd77::9", 0))
            sender.sendto(b"x", (net.public(version), 20000))
        time.sleep(0.3)
        assert server.peers == []
        assert net.counter(f"tunnel_source_from_outside{version}") > 0
        assert udp_visit(net.inet, net.public(version), 20000) is not None


@VERSIONS
def test_a_device_that_visits_a_lease_outside_the_tunnel_is_not_seen(net, version):
    """Port Fail: the holder of the lease would learn the other device's real address."""
    net.start()
    net.change(("install", 5, "tcp", version, 20001, net.b))
    own = net.a.wan_v4 if version == 4 else net.a.wan_v6
    with TcpServer(net.b.host, 20001) as server:
        assert tcp_visit(net.a.host, net.public(version), 20001).startswith(f"you are {own} ")  # not a device's endpoint yet
        net.probe.ask("endpoint", own, 60_000)
        assert tcp_visit(net.a.host, net.public(version), 20001, seconds=0.7) is None
        if version == 6:  # nor by another address of its network
            other = own.rsplit(":", 1)[0] + ":77"
            net.a.host.sh(f"ip addr add {other}/64 dev eth0 nodad")
            with pytest.raises(OSError):
                connect(net.a.host, net.public(6), 20001, 0.7, source=(other, 0))
        assert len(server.peers) == 1
        assert net.counter(f"port_fail{version}") > 0


@VERSIONS
def test_an_endpoint_is_forgotten_when_its_time_is_over(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 20001, net.b))
    own = net.a.wan_v4 if version == 4 else net.a.wan_v6
    net.probe.ask("endpoint", own, 60_000)
    net.probe.ask("endpoint", own, 1_000)  # a later word counts
    with net.b.udp_server(version, 20001):
        assert udp_visit(net.a.host, net.public(version), 20001, seconds=0.3, tries=1) is None
        wait_for(lambda: udp_visit(net.a.host, net.public(version), 20001, seconds=0.2, tries=1), 5, "the endpoint is forgotten")


@VERSIONS
@pytest.mark.parametrize("shadowed", [51820, 30001])
def test_a_device_cannot_shadow_a_port_of_the_gateway(net, version, shadowed):
    """Port Shadow (CVE-2021-3773): the device's source port is WireGuard's, or another device's lease."""
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b))
    with UdpServer(net.gw, 51820) as wireguard, net.b.udp_server(version, 30001) as owner, \
            net.a.socket(version, socket.SOCK_DGRAM, shadowed) as attacker, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as victim:
        attacker.sendto(b"shadow", (net.visitor(version), 41001))
        (data, seen_from), = receive_all(victim, 0.7)
        assert data == b"shadow" and seen_from[0] == net.public(version) and 32768 <= seen_from[1] <= 51199
        victim.sendto(b"to the owner", (net.public(version), shadowed))
        answer = receive_all(victim, 0.7)
        assert [data for data, _ in receive_all(attacker, 0.3)] == []
        assert len(answer) == 1 and answer[0][1][1] == shadowed
        assert (wireguard if shadowed == 51820 else owner).received == [b"to the owner"]


@VERSIONS
def test_with_a_plain_masquerade_the_port_is_shadowed(net, version):
    """The proof that the test above tests something; packets to WireGuard's port that are tracked belong to it."""
    net.start("without wireguard_untracked", options=["no-ownership"])
    rules = net.gw.sh("nft -a list chain inet drpf outbound")
    handle = next(line.split("handle ")[1] for line in rules.splitlines() if 'comment "source_ports"' in line)
    net.gw.sh(f"nft replace rule inet drpf outbound handle {handle} iifname tun0 oifname wan masquerade")
    with UdpServer(net.gw, 51820) as wireguard, net.a.socket(version, socket.SOCK_DGRAM, 51820) as attacker, \
            new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as victim:
        attacker.sendto(b"shadow", (net.visitor(version), 41001))
        receive_all(victim, 0.5)
        victim.sendto(b"to the owner", (net.public(version), 51820))
        assert [data for data, _ in receive_all(attacker, 0.5)] == [b"to the owner"]
        assert wireguard.received == []


@VERSIONS
def test_the_holder_of_a_lease_sends_from_its_public_port(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b, 5000))
    with net.b.socket(version, socket.SOCK_DGRAM, 5000) as sender, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        sender.sendto(b"x", (net.visitor(version), 41001))
        assert receive_all(visitor, 0.5) == [(b"x", (net.public(version), 30001))]


@VERSIONS
def test_two_leases_may_lead_to_one_port_of_a_device(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b, 5000), ("install", 6, "udp", version, 30002, net.b, 5000))
    with net.b.udp_server(version, 5000):
        assert udp_visit(net.inet, net.public(version), 30001) and udp_visit(net.inet, net.public(version), 30002)
    assert net.probe.ask("reconcile") == "0"

    def source():
        with net.b.socket(version, socket.SOCK_DGRAM, 5000) as sender, new_socket(net.inet, version, socket.SOCK_DGRAM) as visitor:
            sender.sendto(b"x", (net.visitor(version), visitor.getsockname()[1]))
            return receive_all(visitor, 0.5)[0][1][1]
    assert source() == 30001
    net.change(("remove", 5, "udp", version, 30001, net.b, 5000))
    assert source() == 30002
    assert net.probe.ask("reconcile") == "0"


@VERSIONS
def test_a_device_may_have_so_many_connections_open_and_the_others_do_not_feel_it(net, version):
    net.start("connections 100")
    with new_socket(net.inet, version, socket.SOCK_DGRAM, 4000) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for port in range(20000, 20500):
            with net.a.socket(version, socket.SOCK_DGRAM, port) as sender:
                sender.sendto(b"a", (net.visitor(version), 4000))
        with net.b.socket(version, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"b", (net.visitor(version), 4000))
        received = [data for data, _ in receive_all(receiver, 1)]
    assert received.count(b"a") == 100
    assert received.count(b"b") == 1


@VERSIONS
def test_the_visits_to_a_lease_can_be_limited(net, version):
    net.start("lease_rate 10")
    net.change(("install", 5, "udp", version, 30001, net.a), ("install", 6, "udp", version, 30002, net.a))
    with net.a.udp_server(version, 30001) as flooded, net.a.udp_server(version, 30002) as other:
        for _ in range(200):
            with new_socket(net.inet, version, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"x", (net.public(version), 30001))
        assert udp_visit(net.inet, net.public(version), 30002) is not None
        time.sleep(0.2)
        assert 10 <= len(flooded.peers) <= 40
        assert len(other.peers) >= 1


@VERSIONS
def test_a_stream_that_nobody_answers_is_one_visit(net, version):
    net.start("lease_rate 10")
    net.change(("install", 5, "udp", version, 30001, net.a))
    with net.a.socket(version, socket.SOCK_DGRAM, 30001) as receiver, new_socket(net.inet, version, socket.SOCK_DGRAM) as sender:
        for _ in range(100):
            sender.sendto(b"a", (net.public(version), 30001))
        assert len(receive_all(receiver, 1)) == 100


@VERSIONS
def test_only_protocols_with_ports_or_echo_leave_the_tunnel(net, version):
    """GRE and ESP have nothing by which the gateway's own could be told from a device's."""
    net.start()
    with Capture(net.inet, "eth0", "proto 47 or proto 50" if version == 4 else "ip6 proto 47 or ip6 proto 50") as seen:
        for protocol in (47, 50):
            with net.a.host.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_RAW, protocol) as raw:
                raw.bind((net.a.address(version), 0))
                raw.sendto(b"\0\0\x08\0" + b"x" * 20, (net.visitor(version), 0))
        time.sleep(0.5)
    assert len(seen) == 0


@VERSIONS
def test_when_the_tunnel_device_is_gone_nothing_leaves_by_the_default_route(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 20000, net.a))
    with net.a.udp_server(version, 20000) as server, new_socket(net.inet, version, socket.SOCK_DGRAM) as visitor:
        visitor.sendto(b"x", (net.public(version), 20000))
        assert receive_all(visitor, 0.5)
        with Capture(net.lab.isp, "br0", f"host {net.a.address(version)}") as leaked:
            net.gw.sh("ip link del tun0")
            with Stream(visitor, (net.public(version), 20000)) as stream:
                wait_for(lambda: stream.sent > 100, 5)
            net.gw.run("ping", "-c1", "-W1", net.a.address(version), check=False)
            time.sleep(0.3)
        assert len(leaked) == 0
        assert len(server.received) == 1
        assert drain(visitor) == []


@VERSIONS
def test_path_mtu_is_told_and_segments_fit(net, version):
    net.start()
    net.change(("install", 5, "tcp", version, 20000, net.a))
    with TcpServer(net.a.host, 20000), connect(net.inet, net.public(version), 20000) as visit:
        read_line(visit)
        assert visit.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1420 - (40 if version == 4 else 60)
        data = random.randbytes(200_000)
        visit.settimeout(10)
        visit.sendall(data)
        back = b""
        while len(back) < len(data):
            back += visit.recv(65536)
        assert back == data
