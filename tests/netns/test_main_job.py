"""What drpf exists for: a device connects, is given ports, and is reached through them; and nothing else gets through."""
import ipaddress
import os
import socket
import struct

import pytest
from gateway import DRPF, ConnectedDevice, Gateway, WireGuardDevice
from lab import Plan
from namespaces import wait_for
from traffic import Capture, TcpServer, UdpServer, connect, read_line, send_raw_v4, syn_scan, tcp_visit, udp_scan, udp_visit

DEVICES = {"wireguard-go": WireGuardDevice, "drpf-connect": ConnectedDevice}


@pytest.fixture(params=DEVICES)
def laptop(request, lab, gateway):
    """A connected device with its five ports, by stock WireGuard and by drpf connect."""
    device = DEVICES[request.param](lab.homes[0], gateway.add_device("ann", "laptop"))
    device.ports = gateway.wait_for_ports("laptop")
    return device


@pytest.mark.quick
def test_a_visitor_reaches_the_device_and_is_seen_as_himself(lab, laptop):
    home, port = lab.homes[0], laptop.ports[0]
    assert laptop.ports == list(range(port, port + 5)) and 10000 <= port <= 31995
    with TcpServer(home, port) as tcp, UdpServer(home, port) as udp:
        for public, visitor in ((lab.gw_v4, lab.inet_v4), (lab.gw_v6, lab.inet_v6)):
            assert (tcp_visit(lab.inet, public, port) or "").startswith(f"you are {visitor} ")
            assert (udp_visit(lab.inet, public, port) or "").startswith(f"you are {visitor} ")
        assert set(tcp.addresses()) == {lab.inet_v4, lab.inet_v6}
        assert set(udp.addresses()) == {lab.inet_v4, lab.inet_v6}


def test_every_port_of_the_range_leads_to_the_same_port_of_the_device(lab, laptop):
    for port in laptop.ports:
        with TcpServer(lab.homes[0], port, versions=(4,)):
            assert tcp_visit(lab.inet, lab.gw_v4, port)


def test_a_public_port_leads_to_a_standard_port(lab, gateway, laptop):
    public = laptop.ports[1]
    gateway.cli("lease", "set", public, "--local", 110)
    with TcpServer(lab.homes[0], 110) as pop3:
        assert tcp_visit(lab.inet, lab.gw_v4, public) and tcp_visit(lab.inet, lab.gw_v6, public)
        assert pop3.addresses() == [lab.inet_v4, lab.inet_v6]
        assert tcp_visit(lab.inet, lab.gw_v4, 110, seconds=1) is None
    row = next(row for row in gateway.leases("laptop") if row["public_port"] == public and row["protocol"] == "tcp")
    assert row["local_port"] == 110


def test_every_other_port_is_closed(lab, laptop):
    """A home machine answers every packet that reaches it (a reset, at least), so silence means that nothing reached it."""
    home, inside = lab.homes[0], laptop.address(4)
    interface = tunnel_interface(home, inside)
    leased = " or ".join(f"dst port {port}" for port in laptop.ports)
    others = f"inbound and dst host {inside} and (tcp[tcpflags] & tcp-syn != 0 or udp) and not ({leased}) and not src net 10.77.0.0/16"
    with TcpServer(home, laptop.ports[0]), UdpServer(home, laptop.ports[0]), Capture(home, interface, others) as stray:
        for public in (lab.gw_v4, lab.gw_v6):
            answers = syn_scan(lab.inet, public, range(1, 65536))
            assert set(answers) - {22} == set(laptop.ports)  # 22 is the gateway's own, where no server runs here
            assert [port for port, answer in answers.items() if answer == "open"] == [laptop.ports[0]]
            assert udp_scan(lab.inet, public, range(1, 65536)) == {laptop.ports[0]}
    assert stray.lines == []


def tunnel_interface(host, address):
    for line in host.run("ip", "-o", "addr").stdout.splitlines():
        if f" {address}/" in line:
            return line.split()[1]
    raise AssertionError(f"{address} is on no interface of {host.name}")


@pytest.fixture
def two_homes(lab, gateway):
    """One device in each home, each a stock WireGuard client."""
    devices = [WireGuardDevice(home, gateway.add_device(owner, name)) for home, owner, name in zip(lab.homes, ("ann", "ben"), ("laptop", "tower"))]
    for device, name in zip(devices, ("laptop", "tower")):
        device.ports = gateway.wait_for_ports(name)
    return devices


def test_homes_cannot_reach_each_other_through_the_tunnel(lab, two_homes):
    laptop, tower = two_homes
    port = tower.ports[0]
    with TcpServer(lab.homes[1], port) as tcp, UdpServer(lab.homes[1], port) as udp, \
            Capture(lab.homes[1], "wg0", f"inbound and src net 10.77.0.0/16 and not src host {gateway_inside(tower)}") as seen:
        for version in (4, 6):
            assert tcp_visit(lab.homes[0], tower.address(version), port, seconds=1) is None
            assert udp_visit(lab.homes[0], tower.address(version), port, seconds=1) is None
        lab.homes[0].run("ping", "-c1", "-W1", tower.address(4), check=False)
        # The same way is open to a visitor, so the silence above is not the lab's.
        assert tcp_visit(lab.inet, lab.gw_v4, port)
    assert tcp.addresses() == [lab.inet_v4] and udp.addresses() == []
    assert seen.lines == []


def gateway_inside(device):
    return str(ipaddress.ip_interface(f"{device.address(4)}/24").network[1])


def udp_packet(source, destination, source_port, port, payload):
    length = 8 + len(payload)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
    total = sum(struct.unpack("!10H", header))
    checksum = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
    return header[:10] + struct.pack("!H", checksum) + header[12:] + struct.pack("!HHHH", source_port, port, length, 0) + payload


def test_a_home_cannot_send_with_a_false_source(lab, two_homes):
    laptop, tower = two_homes
    with Capture(lab.inet, "eth0", "udp dst port 9999", options=("-A",)) as on_the_internet, \
            Capture(lab.homes[1], "wg0", "inbound and udp dst port 9999") as in_the_other_home:
        for source in (tower.address(4), "203.0.113.9", lab.gw_v4):
            send_raw_v4(lab.homes[0], "wg0", udp_packet(source, lab.inet_v4, 5555, 9999, b"false"))
            send_raw_v4(lab.homes[0], "wg0", udp_packet(source, tower.address(4), 5555, 9999, b"false"))
        send_raw_v4(lab.homes[0], "wg0", udp_packet(laptop.address(4), lab.inet_v4, 5555, 9999, b"true one"))
        on_the_internet.wait_for_packets(1)
    assert len(on_the_internet) == 1 and lab.gw_v4 in on_the_internet.lines[0]
    assert in_the_other_home.lines == []


def test_a_device_that_leaves_is_closed_at_once_and_comes_back_to_its_ports(lab, gateway):
    device = ConnectedDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    with TcpServer(lab.homes[0], ports[0]):
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0])
        assert device.disconnect() == 0
        gateway.wait_for_ports("laptop", state="held", seconds=5)
        assert syn_scan(lab.inet, lab.gw_v4, ports, listen_seconds=0.5) == {}
        device.start()
        assert gateway.wait_for_ports("laptop") == ports
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0])


@pytest.mark.timeout(240)
def test_a_device_that_goes_silent_is_closed_in_its_time(lab, make_gateway):
    gateway = make_gateway('[tunnel]\ndisconnect_after = "60s"\n')
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    device.disconnect()
    assert gateway.wait_for_ports("laptop", state="held", seconds=120) == ports
    assert syn_scan(lab.inet, lab.gw_v4, ports, listen_seconds=0.5) == {}


@pytest.fixture
def make_gateway(lab):
    return lambda config: Gateway(lab, config=config)


@pytest.mark.quick
def test_a_killed_gateway_keeps_every_lease_and_an_open_connection(lab, gateway):
    device = ConnectedDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    before = sorted((row["protocol"], row["public_port"], row["local_port"]) for row in gateway.leases())
    with TcpServer(lab.homes[0], ports[0]):
        visit = connect(lab.inet, lab.gw_v4, ports[0], seconds=60)
        read_line(visit)
        visit.sendall(b"before\n")
        assert read_line(visit) == "before"
        gateway.kill()
        assert set(syn_scan(lab.inet, lab.gw_v4, range(1, 65536), listen_seconds=0.5, rounds=1)) <= {22, *ports}
        visit.sendall(b"while it was away\n")
        gateway.start()
        assert read_line(visit) == "while it was away"
        visit.close()
        assert gateway.wait_for_ports("laptop") == ports
        assert sorted((row["protocol"], row["public_port"], row["local_port"]) for row in gateway.leases()) == before
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0])
    assert device.process.running()


def test_a_killed_client_comes_back_to_its_ports(lab, gateway):
    device = ConnectedDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    device.kill()
    device.start()
    with TcpServer(lab.homes[0], ports[0]):
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=1), 30, "the device is reached again")
    assert gateway.ports("laptop", state="active") == ports


def test_a_stopped_gateway_leaves_nothing_open(lab, gateway):
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    with TcpServer(lab.homes[0], ports[0]):
        assert gateway.stop() == 0
        answers = syn_scan(lab.inet, lab.gw_v4, ports, listen_seconds=0.5)
        assert "open" not in answers.values()
    assert device.latest_handshake() > 0


def test_a_good_configuration_is_taken_on_hangup_and_a_bad_one_changes_nothing(lab, make_gateway):
    gateway = make_gateway('[[plan]]\nname = "personal"\nports_max = 5\nports_at_connect = 5\n')
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    line_with_error = 4
    for bad in ("[ports]\npool = \"10000-31999\"\n\nno_such_key = 1\n", "\n\n\n= broken", "[ports]\n\n\npool = \"31999-10000\"\n"):
        gateway.write_config(bad)
        assert f"drpf.toml:{line_with_error}" in gateway.reload(refused=True), f"the place of the mistake in {bad!r}"
        assert gateway.ports("laptop", state="active") == ports
    gateway.write_config('[[plan]]\nname = "personal"\nports_max = 5\nports_at_connect = 5\n[[plan]]\nname = "large"\nports_max = 50\nports_at_connect = 8\n')
    gateway.reload()
    gateway.cli("account", "add", "ben", "--plan", "large")
    with TcpServer(lab.homes[0], ports[0]):
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0])
    assert device.process.running()


def test_a_gateway_needs_no_configuration_at_all(lab):
    """No argument: state in /var/lib/drpf, socket in /run/drpf; both are private to the host here."""
    process = lab.gw.popen(DRPF, "gateway")
    process.wait_for_output("READY", 20)
    assert lab.gw.run(DRPF, "account", "add", "ann").returncode == 0
    text = lab.gw.run(DRPF, "device", "add", "ann", "laptop").stdout
    assert f"Endpoint = {lab.gw_v4}:51820" in text
    assert lab.gw.run("sh", "-c", "ls /var/lib/drpf /run/drpf").stdout
    assert lab.gw.run("wg", "show", "drpf0", "listen-port").stdout.strip() == "51820"
    assert process.stop() == 0


def test_the_service_manager_is_told(lab, tmp_path):
    path = f"/tmp/drpf-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        try:
            process = lab.gw.popen(DRPF, "gateway", "--state", tmp_path / "state", "--socket", tmp_path / "s", env={"NOTIFY_SOCKET": path})
            told = b""
            while b"READY=1" not in told:
                told += manager.recv(4096) + b"\n"
            assert process.stop() == 0
        finally:
            os.unlink(path)


def test_a_second_gateway_on_the_same_state_is_refused(lab, gateway):
    second = lab.gw.popen(DRPF, "gateway", "--state", gateway.state, "--socket", gateway.socket + "2")
    assert second.wait(10) != 0
    assert gateway.cli_json("lease", "list") == []


def test_each_public_address_has_its_own_pool(make_lab):
    lab = make_lab(homes=1, plan=Plan(gateway=[1, 2]))
    first, second = lab.plan.address4(1), lab.plan.address4(2)
    config = "".join(f'[[host]]\nname = "{name}"\nipv4 = "{address}"\n' for name, address in (("main", first), ("second", second)))
    gateway = Gateway(lab, config=config)
    WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop", plan="business"))
    port = gateway.wait_for_ports("laptop")[0]
    used = {row["public_address"] for row in gateway.leases("laptop", "active")}
    (own,) = used & {first, second}
    other = ({first, second} - {own}).pop()
    with TcpServer(lab.homes[0], port):
        assert tcp_visit(lab.inet, own, port)
        assert tcp_visit(lab.inet, other, port, seconds=1) is None


@pytest.mark.parametrize("arguments", [
    ("account", "add", ""), ("account", "add", "a b\n"), ("account", "add", "x" * 1000), ("account", "add", "ann", "--plan", "nothing"),
    ("account", "add", "ann"), ("account", "remove", "nobody"), ("account", "list", "--nonsense"), ("device", "add", "nobody", "x"),
    ("device", "add", "ann", "laptop"), ("device", "config", "nothing"), ("device", "remove", "nothing"), ("lease", "add", "laptop", "0"),
    ("lease", "add", "laptop", "22"), ("lease", "add", "laptop", "51820"), ("lease", "add", "laptop", "70000"), ("lease", "add", "laptop", "-1"),
    ("lease", "add", "laptop", "20000/sctp"), ("lease", "add", "nothing", "20000"), ("lease", "add", "laptop", "20000", "--local", "0"),
    ("lease", "remove", "20000"), ("lease", "set", "20000", "--local", "80"), ("nonsense",), ("lease",),
], ids=lambda arguments: "-".join(arguments)[:40].replace("\n", "") or "empty")
def test_bad_input_is_refused_with_a_reason(bad_input_gateway, arguments):
    gateway = bad_input_gateway
    before = gateway.cli("account", "list", "--json"), gateway.cli("device", "list", "--json"), gateway.cli("lease", "list", "--json")
    result = gateway.cli_result(*arguments)
    assert 0 < result.returncode < 128 and result.returncode != 70
    assert len(result.stderr.strip()) > 10
    assert before == (gateway.cli("account", "list", "--json"), gateway.cli("device", "list", "--json"), gateway.cli("lease", "list", "--json"))


@pytest.fixture(scope="module")
def bad_input_gateway(tmp_path_factory):
    from lab import Lab
    with Lab(tmp_path_factory.mktemp("bad-input"), homes=0) as lab:
        gateway = Gateway(lab)
        gateway.add_device("ann", "laptop")
        yield gateway


def test_no_gateway_no_answer(lab):
    result = lab.gw.run(DRPF, "status", "--socket", "/run/nothing.sock", check=False)
    assert result.returncode == 69 and "/run/nothing.sock" in result.stderr


def test_a_device_may_keep_its_own_way_out(lab, gateway):
    """--inbound-only with stock wg-quick: visitors are answered through the tunnel, everything else stays outside of it."""
    gateway.add_device("ann", "laptop")
    home = lab.homes[0]
    path = os.path.join(lab.folder, "drpf.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(gateway.cli("device", "config", "laptop", "--inbound-only"))
    os.chmod(path, 0o600)
    home.run("wg-quick", "up", path, env={"WG_QUICK_USERSPACE_IMPLEMENTATION": "wireguard-go"})
    port = gateway.wait_for_ports("laptop")[0]
    with TcpServer(home, port) as server, TcpServer(lab.inet, 80):
        assert tcp_visit(home, lab.inet_v4, 80).startswith("you are 198.51.100.11 ")
        assert tcp_visit(home, lab.inet_v6, 80).startswith("you are 2001:db8:a1::2 ")
        assert tcp_visit(lab.inet, lab.gw_v4, port).startswith(f"you are {lab.inet_v4} ")
        assert tcp_visit(lab.inet, lab.gw_v6, port).startswith(f"you are {lab.inet_v6} ")
        assert server.addresses() == [lab.inet_v4, lab.inet_v6]
    home.run("wg-quick", "down", path)
    with TcpServer(lab.inet, 81):
        assert tcp_visit(home, lab.inet_v4, 81).startswith("you are 198.51.100.11 ")
