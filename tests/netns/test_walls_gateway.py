"""Walls that the running gateway carries, not a rule alone: the whole `drpf gateway`, devices with wireguard-go, and its configuration."""
import contextlib
import json
import os
import socket
import sqlite3
import struct
import time
from datetime import datetime, timezone

import packets
import pytest
from gateway import Gateway, WireGuardDevice
from namespaces import wait_for
from redirect_lab import new_socket
from traffic import TcpServer, UdpServer, connect, read_line, tcp_visit, udp_visit

VERSIONS = pytest.mark.parametrize("version", [4, 6])
RESERVED = (1, 22, 53, 443, 5351, 9999, 32000, 51820, 65535)
REPEATED_NAMES = '[[plan]]\nname = "free"\nports_max = 5\nports_at_connect = 0\nport_choice = true\n'


def api(home, inside, method, path, body=None):
    """One request of a device to the gateway: (status, answer)."""
    text = "" if body is None else json.dumps(body)
    with connect(home, inside, 5351) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {inside}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
                           f"Connection: close\r\n\r\n{text}".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content) if content.strip() else None


@pytest.fixture
def started(lab):
    """gateway(config): with a device of ann in the first home and one of ben in the second."""
    def start(config=None, plan=None):
        gateway = Gateway(lab, config=config)
        gateway.devices = {}
        for home, account, device in zip(lab.homes, ("ann", "ben"), ("laptop", "tower")):
            gateway.devices[device] = WireGuardDevice(home, gateway.add_device(account, device, plan))
        return gateway
    return start


def fill_connection_table(lab, count):
    """Two accounts' devices open connections to the Internet until the gateway has that many."""
    def filled():
        for _ in range(100):
            for home in lab.homes[:2]:  # one account alone has only its share of what goes to one address
                with home.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"x", (lab.inet_v4, 4000))
        return int(lab.gw.sysctl("net.netfilter.nf_conntrack_count")) >= count
    with new_socket(lab.inet, 4, socket.SOCK_DGRAM, 4000):
        wait_for(filled, 20, f"{count} connections")


@pytest.mark.wall("D2", "the host's connection table fills up, and nobody knows", None)
def test_a_filling_connection_table_is_said(lab, started):
    table = int(lab.gw.sysctl("net.netfilter.nf_conntrack_max"))
    gateway = started("[limits]\nconnection_table_alarm = 1\n")
    gateway.wait_for_ports("laptop")
    fill_connection_table(lab, table // 100 + 50)
    gateway.process.wait_for_output("the connection table is 1 % full", 10)
    assert any("connection table" in warning for warning in gateway.cli_json("status")["warnings"])
    lab.gw.sh("conntrack -F")
    gateway.process.wait_for_output("no longer near its end", 10)
    assert not any("connection table" in warning for warning in gateway.cli_json("status")["warnings"])


@pytest.mark.wall("D2", "the host's connection table fills up, and nobody knows", None, "`connection_table_alarm = 100`")
def test_with_another_threshold_it_is_not_said(lab, started):
    table = int(lab.gw.sysctl("net.netfilter.nf_conntrack_max"))
    gateway = started("[limits]\nconnection_table_alarm = 100\n")
    gateway.wait_for_ports("laptop")
    fill_connection_table(lab, table // 100 + 50)
    time.sleep(2.5)  # longer than the interval of looking
    assert "connection table" not in gateway.log_text()


def is_initiation(packet):
    return packets.protocol_of(4, packet) == 17 and struct.unpack("!H", packet[22:24])[0] == 51820 and packet[28:32] == b"\1\0\0\0"


@pytest.mark.wall("D9", "a handshake that somebody recorded is sent again after kill -9", None)
def test_a_recorded_handshake_is_not_believed_after_a_kill(lab):
    gateway = Gateway(lab)
    text = gateway.add_device("ann", "laptop")
    with packets.Tap(lab.gw, "wan", 4) as tap:
        device = WireGuardDevice(lab.homes[0], text)
        recorded = tap.seen(is_initiation, 10)[0][28:]
    gateway.wait_for_ports("laptop")
    at_home = gateway.cli_json("device", "show", "laptop")["endpoint"]
    device.disconnect()
    gateway.kill()
    gateway.start()
    with new_socket(lab.inet, 4, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(recorded, (lab.gw_v4, 51820))
        refused = "handshake_dropped_replayed_timestamp"
        wait_for(lambda: gateway.cli_json("status")["ways_in"][0]["counters"][refused], 5, "it is refused")
        assert gateway.cli_json("device", "show", "laptop")["endpoint"] == at_home
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(2000)


def test_a_device_whose_clock_was_ahead_is_named_and_let_in_again(lab):
    gateway = Gateway(lab)
    text = gateway.add_device("ann", "laptop")
    gateway.stop()
    with contextlib.closing(sqlite3.connect(os.path.join(gateway.state, "drpf.db"))) as book, book:
        book.execute("UPDATE wireguard_peers SET last_timestamp = ?", (struct.pack("!QI", 2 ** 62 + 10 + int(time.time()) + 86400 * 365, 0),))
    gateway.start()
    device = WireGuardDevice(lab.homes[0], text)
    for _ in range(2):  # it asks every five seconds by itself
        time.sleep(0.1)
        device.host.run("wg", "set", "wg0", "peer", device.file.values("peer", "PublicKey")[0], "remove")
        device.host.run("wg", "setconf", "wg0", "/dev/stdin", stdin=device.file.without_wg_quick_keys())
    wait_for(lambda: gateway.cli_json("device", "show", "laptop")["refused"], 10, "the gateway says that it does not get in")
    assert "its clock says" in gateway.cli("device", "list") and "forget-clock laptop" in gateway.cli("device", "show", "laptop")
    assert "device laptop does not get in: its clock says" in gateway.cli_result("check").stdout
    gateway.process.wait_for_output("device laptop does not get in: its clock says", 15)
    gateway.cli("device", "forget-clock", "laptop")
    gateway.wait_for_ports("laptop")
    assert gateway.cli_json("device", "show", "laptop")["refused"] is None


@VERSIONS
@pytest.mark.wall("D6", "a device visits a lease around its tunnel, by the running gateway", None)
def test_a_device_s_outer_address_does_not_reach_leases(lab, version):
    """In the family in which the tunnel is connected: for that one alone a device has a route around its tunnel."""
    gateway = Gateway(lab)
    public, other = (lab.gw_v4, lab.gw_v6) if version == 4 else (lab.gw_v6, lab.gw_v4)
    for home, account, device in zip(lab.homes, ("ann", "ben"), ("laptop", "tower")):
        text = gateway.add_device(account, device)
        WireGuardDevice(home, text.replace(f"Endpoint = {lab.gw_v4}:", f"Endpoint = {public if version == 4 else f'[{public}]'}:"))
    port = gateway.wait_for_ports("tower")[0]
    gateway.wait_for_ports("laptop")
    assert visit_from_outside_of_the_tunnel(lab, port, version) is None
    with TcpServer(lab.homes[1], port) as server:
        assert tcp_visit(lab.inet, public, port)
        assert tcp_visit(lab.homes[0], other, port, seconds=1) is None
        assert len(server.peers) == 1


@pytest.mark.wall("D6", "a device visits a lease around its tunnel, by the running gateway", None, "`[entry] ipv4` names another address")
def test_with_an_entry_address_nothing_is_dropped(make_lab):
    from lab import Plan
    lab = make_lab(plan=Plan(gateway=[1, 2]))
    gateway = Gateway(lab, config=f'[[host]]\nipv4 = "{lab.plan.address4(1)}"\n[entry]\nipv4 = "{lab.plan.address4(2)}"\n')
    for home, account, device in zip(lab.homes, ("ann", "ben"), ("laptop", "tower")):
        WireGuardDevice(home, gateway.add_device(account, device))
    port = gateway.wait_for_ports("tower")[0]
    gateway.wait_for_ports("laptop")
    # The lease's address is reached through the tunnel only by who has no route around it; here is one, made on purpose.
    assert visit_from_outside_of_the_tunnel(lab, port, 4) == lab.plan.address4(11)


@pytest.mark.wall("D6", "a device sends in the name of a visitor, who is then shut out of all leases", None)
def test_a_false_outer_address_shuts_nobody_out(lab):
    """One device is here by IPv4 and one by IPv6, and both say that they are the visitor."""
    gateway = Gateway(lab)
    families = (("ip", lab.gw_v4, lab.inet_v4, lab.gw_v4), ("ip6", lab.gw_v6, lab.inet_v6, f"[{lab.gw_v6}]"))
    for home, account, device, family in zip(lab.homes, ("ann", "ben"), ("laptop", "tower"), families):
        WireGuardDevice(home, gateway.add_device(account, device).replace(f"Endpoint = {lab.gw_v4}:", f"Endpoint = {family[3]}:"))
    port = gateway.wait_for_ports("tower")[0]
    gateway.wait_for_ports("laptop")

    def endpoints():
        return [row["endpoint"] for row in gateway.cli_json("device", "list")]
    before = endpoints()
    for router, (family, public, visitor, _) in zip(lab.routers, families):
        router.nft(f"table inet liar {{ chain out {{ type filter hook postrouting priority 300; "
                   f"{family} daddr {public} udp dport 51820 {family} saddr set {visitor} counter; }}; }}")
    with TcpServer(lab.homes[1], port):
        for home, router in zip(lab.homes, lab.routers):
            home.run("ping", "-n", "-c", 5, "-i", 0.2, "-W", 1, "10.77.0.1", check=False)
            assert "packets 0 " not in router.sh("nft list table inet liar")
        assert endpoints() == before and "moved to" not in gateway.log_text()
        lab.routers[1].sh("nft delete table inet liar")  # the holder of the lease is honest again, and heard
        assert lab.homes[1].run("ping", "-n", "-c", 1, "-W", 10, "10.77.0.1", check=False).returncode == 0
        for _, public, _, _ in families:
            assert tcp_visit(lab.inet, public, port)


def visit_from_outside_of_the_tunnel(lab, port, version):
    """Whom the holder in the second home sees when the first home goes around its tunnel."""
    home, public = lab.homes[0], lab.gw_v4 if version == 4 else lab.gw_v6
    via = home.sh(f"ip -{version} route show default").split("via ")[1].split()[0]
    home.sh(f"ip -{version} route replace {public} via {via} dev eth0")
    with TcpServer(lab.homes[1], port) as server:
        tcp_visit(home, public, port, seconds=1)
        return server.addresses()[0] if server.peers else None


@pytest.mark.wall("D14", "ports that are not for lease, asked for at every door", None)
def test_reserved_ports_are_refused_at_every_door(lab, started):
    gateway = started(REPEATED_NAMES + '[ports]\nreserved = [20022]\n', plan="free")
    wait_for(lambda: all(row["connected"] for row in gateway.cli_json("device", "list")), 20, "both are connected")
    with TcpServer(lab.gw, 20080):
        gateway.reload()  # listeners are looked at
        for port in RESERVED + (20022, 20080):
            assert gateway.cli_result("lease", "add", "laptop", f"{port}/tcp").returncode != 0, port
            assert api(lab.homes[0], "10.77.0.1", "POST", "/v1/self/leases", {"port": port, "protocol": "tcp"})[0] in (400, 409), port
        for port in (0, 65536, -1):
            assert gateway.cli_result("lease", "add", "laptop", "--", f"{port}/tcp").returncode != 0, port
            assert api(lab.homes[0], "10.77.0.1", "POST", "/v1/self/leases", {"port": port, "protocol": "tcp"})[0] in (400, 409), port
    assert gateway.leases() == []


@pytest.mark.wall("D14", "ports that are not for lease, asked for at every door", None, "`[ports] reserved = []`")
def test_without_the_reservation_it_is_leased(lab, started):
    gateway = started(REPEATED_NAMES, plan="free")
    wait_for(lambda: all(row["connected"] for row in gateway.cli_json("device", "list")), 20, "both are connected")
    assert gateway.cli_result("lease", "add", "laptop", "20022/tcp").returncode == 0
    assert api(lab.homes[0], "10.77.0.1", "POST", "/v1/self/leases", {"port": 20080, "protocol": "tcp"})[0] == 201


@pytest.mark.wall("D14", "a plan of ports that overlap", None)
def test_overlapping_ranges_are_no_start(lab):
    """SNAT over WireGuard's port, over the pool, a service in the pool: each is refused before anything is touched."""
    for number, bad in enumerate(('snat = "32768-60999"', 'snat = "20000-40000"', "services_tcp = [20000]", 'pool = "10000-40000"')):
        gateway = Gateway(lab, config=f"[ports]\n{bad}\n", start=False, state=f"{lab.folder}/state{number}")
        gateway.start(wait=False)
        assert gateway.process.wait(20) != 0
        assert "overlaps" in gateway.log_text()
        assert "table" not in lab.gw.sh("nft list ruleset")


@pytest.mark.wall("D15", "another account takes a port that was given back a moment ago", None)
def test_a_released_port_rests_for_others_and_not_for_its_own(lab, started):
    gateway = started(REPEATED_NAMES, plan="free")
    gateway.cli("lease", "add", "laptop", "20000")
    gateway.cli("lease", "remove", "20000")
    refused = gateway.cli_result("lease", "add", "tower", "20000")
    assert refused.returncode != 0 and "rests" in refused.stderr
    assert api_when_connected(lab, 1, {"port": 20000}) == 409
    gateway.cli("lease", "add", "laptop", "20000")


@pytest.mark.wall("D15", "another account takes a port that was given back a moment ago", None, "the ports are the same account's")
def test_within_an_account_there_is_no_rest(lab, started):
    gateway = started(REPEATED_NAMES, plan="free")
    gateway.add_device("ann", "phone")
    gateway.cli("lease", "add", "laptop", "20000")
    gateway.cli("lease", "remove", "20000")
    gateway.cli("lease", "add", "phone", "20000")


def take_and_give_back(lab, ports):
    """By the device's API, one after the other: how many it got."""
    taken = 0
    for port in ports:
        if api(lab.homes[0], "10.77.0.1", "POST", "/v1/self/leases", {"port": port, "protocol": "tcp"})[0] == 201:
            taken += 1
            assert api(lab.homes[0], "10.77.0.1", "DELETE", f"/v1/self/leases/main/tcp/{port}")[0] in (200, 204)
    return taken


@pytest.mark.wall("D2", "one account takes ports and gives them back until the pool is empty", None)
def test_what_rests_because_of_an_account_is_bounded(lab, started):
    gateway = started(REPEATED_NAMES + '[ports]\npool = "20000-20029"\n', plan="free")
    wait_for(lambda: all(row["connected"] for row in gateway.cli_json("device", "list")), 20, "both are connected")
    assert take_and_give_back(lab, range(20000, 20030)) == 10
    status = gateway.cli_json("status")
    assert (status["ports_free"], status["ports_resting"]) == (20, 10)
    refused = gateway.cli_result("lease", "add", "laptop", "20025")
    assert refused.returncode != 0 and "still rest" in refused.stderr
    assert api(lab.homes[1], "10.77.0.1", "POST", "/v1/self/leases", {"port": 20025, "protocol": "tcp"})[0] == 201


@pytest.mark.wall("D2", "one account takes ports and gives them back until the pool is empty", None, "a plan of 15 ports")
def test_with_a_larger_plan_the_pool_is_emptied(lab, started):
    gateway = started(REPEATED_NAMES.replace("= 5", "= 15") + '[ports]\npool = "20000-20029"\n', plan="free")
    wait_for(lambda: all(row["connected"] for row in gateway.cli_json("device", "list")), 20, "both are connected")
    assert take_and_give_back(lab, range(20000, 20030)) == 30
    assert gateway.cli_json("status")["ports_free"] == 0
    assert api(lab.homes[1], "10.77.0.1", "POST", "/v1/self/leases", {"protocol": "tcp"})[0] == 409


def open_stream(home):
    """A stream of the device's own ports: (connection, status)."""
    connection = connect(home, "10.77.0.1", 5351)
    connection.sendall(b"GET /v1/self/events HTTP/1.1\r\nHost: 10.77.0.1\r\n\r\n")
    return connection, int(connection.recv(65536).split()[1])


@pytest.mark.wall("D2", "one device's streams and requests use the API up", None)
@pytest.mark.wall("D2", "one device's streams and requests use the API up", None, "the streams are two devices'")
def test_one_device_does_not_use_the_api_up(lab, started):
    gateway = started()
    for device in ("laptop", "tower"):
        gateway.wait_for_ports(device)
    streams = [open_stream(lab.homes[0]) for _ in range(6)]
    assert [status for _, status in streams] == [200] * 4 + [503] * 2
    other, status = open_stream(lab.homes[1])
    assert status == 200
    begin, asked = time.monotonic(), 140
    for _ in range(asked):
        assert api(lab.homes[0], "10.77.0.1", "GET", "/v1/self")[0] == 200
    assert asked - len(streams) <= 100 + 20 * (time.monotonic() - begin) + 20
    for connection, _ in streams + [(other, status)]:
        connection.close()


def api_when_connected(lab, home, body):
    status = []

    def answered():
        try:
            status.append(api(lab.homes[home], "10.77.0.1", "POST", "/v1/self/leases", body)[0])
        except OSError:
            return False
        return True
    wait_for(answered, 20, "the API answers through the tunnel")
    return status[0]


@pytest.mark.wall("D19", "abuse of a port, and nobody knows whose it was", None)
def test_address_port_and_time_lead_to_the_account(lab, started):
    gateway = started()
    port = gateway.wait_for_ports("laptop")[0]
    then = now_utc()
    begin = time.monotonic()
    for address in (lab.gw_v4, lab.gw_v6):
        (row,) = gateway.cli_json("who", address, f"{port}/tcp", "--at", then)
        assert (row["account"], row["device"], row["until"]) == ("ann", "laptop", None)
    assert time.monotonic() - begin < 2  # two questions, each with its own process
    assert gateway.cli_json("who", lab.gw_v4, "9999") == []
    assert gateway.cli_json("who", lab.gw_v4, port, "--at", "2020-01-01T00:00:00Z") == []
    gateway.kill()
    gateway.start()
    assert [row["account"] for row in gateway.cli_json("who", lab.gw_v4, f"{port}/tcp", "--at", then)] == ["ann"]
    gateway.cli("device", "remove", "laptop")
    gateway.cli("account", "remove", "ann")
    (row,) = gateway.cli_json("who", lab.gw_v4, f"{port}/tcp", "--at", then)
    assert row["account"] == "ann" and row["until"] is not None
    assert "ann" in gateway.cli("who", lab.gw_v4, f"{port}/tcp", "--within", "600")


@pytest.mark.wall("D19", "abuse of a port, and nobody knows whose it was", None, '`[leases] history = "0s"`')
def test_without_a_history_it_is_not_known(lab, started):
    gateway = started('[leases]\nhistory = "0s"\n')
    port = gateway.wait_for_ports("laptop")[0]
    refused = gateway.cli_result("who", lab.gw_v4, port)
    assert refused.returncode != 0 and "history" in refused.stderr


@pytest.mark.wall("D19", "abuse goes on after the account is known", None)
def test_a_suspended_account_is_cut_off_within_a_second(lab, started):
    gateway = started()
    port = gateway.wait_for_ports("laptop")[0]
    with TcpServer(lab.homes[0], port), UdpServer(lab.homes[0], port), TcpServer(lab.inet, 80) as outside, connect(lab.inet, lab.gw_v4, port) as visit:
        read_line(visit)
        assert tcp_visit(lab.homes[0], lab.inet_v4, 80)
        assert tcp_visit(lab.homes[0], lab.inet_v6, 80)
        seen = len(outside.peers)
        begin = time.monotonic()
        gateway.cli("account", "set", "ann", "--suspend")
        assert time.monotonic() - begin < 1
        visit.settimeout(2)
        with pytest.raises(OSError):
            visit.sendall(b"x")
            assert visit.recv(10) == b""
            raise ConnectionResetError
        for public in (lab.gw_v4, lab.gw_v6):
            assert tcp_visit(lab.inet, public, port, seconds=0.5) is None
            assert udp_visit(lab.inet, public, port, seconds=0.5, tries=1) is None
        for public in (lab.inet_v4, lab.inet_v6):
            assert tcp_visit(lab.homes[0], public, 80, seconds=0.5) is None
        assert len(outside.peers) == seen


@pytest.mark.wall("D19", "abuse goes on after the account is known", None, "`drpf account set ann --resume`")
def test_a_resumed_account_is_reached_again(lab, started):
    gateway = started()
    port = gateway.wait_for_ports("laptop")[0]
    gateway.cli("account", "set", "ann", "--suspend")
    gateway.cli("account", "set", "ann", "--resume")
    with TcpServer(lab.homes[0], port), TcpServer(lab.inet, 80):
        assert tcp_visit(lab.inet, lab.gw_v4, port)
        for public in (lab.inet_v4, lab.inet_v6):
            assert tcp_visit(lab.homes[0], public, 80)


@pytest.mark.wall("D2", "a device's places are used up, and nobody knows", None)
def test_a_device_whose_share_is_used_up_is_named(lab, started):
    gateway = started("[limits]\nconnections_per_device = 16\n")
    port = gateway.wait_for_ports("laptop")[0]
    fill_places(lab, port)
    gateway.process.wait_for_output("visitors of laptop are refused", 10)
    assert "visitors of laptop were refused" in gateway.cli_result("status").stdout


@pytest.mark.wall("D2", "a device's places are used up, and nobody knows", None, "`connections_per_device = 4096`")
def test_a_device_with_room_is_not_named(lab, started):
    gateway = started()
    port = gateway.wait_for_ports("laptop")[0]
    fill_places(lab, port)
    assert "were refused" not in gateway.cli_result("status").stdout


def fill_places(lab, port):
    for _ in range(40):
        with new_socket(lab.inet, 4, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (lab.gw_v4, port))


def flood_of_visits(lab, port, count):
    with UdpServer(lab.homes[0], port) as device:
        for _ in range(count):
            with new_socket(lab.inet, 4, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"x", (lab.gw_v4, port))
        seen = len(device.received)
        while seen < count:
            time.sleep(0.3)
            if len(device.received) == seen:
                return seen
            seen = len(device.received)
        return seen


@pytest.mark.wall("D20", "visits faster than the default allows", None)
def test_by_default_visits_to_a_lease_are_bounded(lab, started):
    gateway = started("[limits]\nconnections_per_device = 100000\n")
    port = gateway.wait_for_ports("laptop")[0]
    # In the middle of the flood, a burst and what a second allows have passed; the rest has not.
    begin = time.monotonic()
    seen = flood_of_visits(lab, port, 6000)
    assert 1000 <= seen <= 1000 + 1000 * (time.monotonic() - begin) + 200
    assert "lease_rate" in lab.gw.sh("nft list chain inet drpf forward")


def now_utc():
    """The time in whole seconds, at the beginning of one: what happened before has an earlier time."""
    time.sleep(1 - time.time() % 1)
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
