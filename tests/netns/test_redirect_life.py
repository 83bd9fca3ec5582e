"""The table over the life of the gateway: killed, started again, flushed by others, replaced, taken away."""
import socket
import time

import pytest
from namespaces import wait_for
from redirect_lab import ProbeError, RedirectLab, Stream, drain, new_socket, receive_all
from traffic import Capture, TcpServer, connect, read_line, tcp_visit, udp_visit

VERSIONS = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture
def net(make_lab):
    return RedirectLab(make_lab(homes=0))


def echo(connection, data=b"still there?"):
    connection.settimeout(5)
    connection.sendall(data)
    back = b""
    while len(back) < len(data):
        back += connection.recv(100)
    return back == data


def restart(net, *leases, options=()):
    probe = net.new_probe()
    for lease in leases:
        probe.ask("install", *net.words(*lease))  # as the store has them
    answer = probe.ask("start", *options)
    net.devices_are_here(probe)
    return answer


@VERSIONS
def test_a_lease_ends_without_a_daemon(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b, 30001, 2000))
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as holder, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        started = time.monotonic()
        with Stream(visitor, (net.public(version), 30001)) as stream:
            wait_for(lambda: drain(holder), 5)
            net.probe.kill()
            wait_for(lambda: time.monotonic() > started + 3, 5)  # a second past the deadline
            drain(holder)
            sent = stream.sent
            wait_for(lambda: stream.sent > sent + 100, 5)
            assert drain(holder) == []
        assert udp_visit(net.inet, net.public(version), 30001, seconds=0.3, tries=1) is None


@VERSIONS
@pytest.mark.quick
def test_a_connection_goes_on_through_kill_and_restart(net, version):
    net.start()
    net.change(("install", 5, "tcp", version, 30001, net.b))
    with TcpServer(net.b.host, 30001), connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        net.probe.kill()
        assert echo(visit, b"while nobody runs")
        assert tcp_visit(net.inet, net.public(version), 30001) is not None
        assert restart(net, (5, "tcp", version, 30001, net.b)).endswith("owned")
        assert echo(visit, b"after the restart")
        assert tcp_visit(net.inet, net.public(version), 30001) is not None
        assert net.probe.ask("reconcile") == "0"


@VERSIONS
def test_a_restart_drops_what_the_store_does_not_have(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b), ("install", 6, "udp", version, 30002, net.b))
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as gone, net.b.udp_server(version, 30002), \
            new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with Stream(visitor, (net.public(version), 30001)) as stream:
            wait_for(lambda: drain(gone), 5)
            net.probe.kill()
            restart(net, (6, "udp", version, 30002, net.b))
            drain(gone)
            sent = stream.sent
            wait_for(lambda: stream.sent > sent + 100, 5)
            assert drain(gone) == []
            assert "mark=5" not in net.gw.sh("conntrack -L -f ipv4; conntrack -L -f ipv6")
        assert udp_visit(net.inet, net.public(version), 30002) is not None


def test_two_gateways_cannot_run_in_one_network(net):
    first = net.start()
    with pytest.raises(ProbeError, match="gateway_running"):
        net.start()
    first.ask("inspect")


def test_an_owned_table_stands_when_others_flush(net):
    net.start()
    net.change(("install", 5, "tcp", 4, 30001, net.b))
    net.gw.sh("nft flush ruleset")
    assert net.gw.run("nft", "delete", "table", "inet", "drpf", check=False).returncode != 0
    assert net.gw.run("nft", "flush", "chain", "inet", "drpf", "forward", check=False).returncode != 0
    net.gw.sh("nft add table ip other")
    assert net.probe.ask("inspect") == "none"
    with TcpServer(net.b.host, 30001):
        assert tcp_visit(net.inet, net.public(4), 30001) is not None


def nothing_is_forwarded(net, version):
    """Neither way, and not by the tunnel addresses either."""
    net.inet.sh("ip route replace 10.77.0.0/16 via 198.51.100.1; ip -6 route replace fd77::/64 via 2001:db8:51::1")
    expression = f"host {net.visitor(version)} and not arp and not icmp and not icmp6"
    with Capture(net.b.host, "tunnel", expression) as inward, Capture(net.inet, "eth0", "udp dst port 53") as outward:
        for address in (net.public(version), net.b.address(version)):
            assert udp_visit(net.inet, address, 30001, seconds=0.3, tries=3) is None
        with net.b.socket(version, socket.SOCK_DGRAM) as sender:
            for _ in range(3):
                try:
                    sender.sendto(b"x", (net.visitor(version), 53))
                except OSError:
                    pass  # told that it is unreachable
        time.sleep(0.3)
    # The device's own datagrams are seen leaving it; nothing comes to it, and nothing of it arrives.
    return [line for line in inward.lines if f"IP{'6' if version == 6 else ''} {net.visitor(version)}." in line] == [] and len(outward) == 0


@VERSIONS
@pytest.mark.parametrize("orphaned", [True, False], ids=["orphaned", "never-owned"])
def test_flushed_means_closed_until_restored(net, version, orphaned):
    net.start(options=() if orphaned else ("no-ownership",))
    lease = (5, "tcp", version, 30001, net.b)
    net.change(("install", *lease), ("install", 6, "udp", version, 30001, net.b))
    with TcpServer(net.b.host, 30001), net.b.udp_server(version, 30001), connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        assert udp_visit(net.inet, net.public(version), 30001) is not None
        net.probe.ask("endpoint", "203.0.113.7" if version == 4 else "2001:db8:77::7", 60_000)
        if orphaned:
            net.probe.kill()
        else:
            assert net.probe.ask("inspect") == "none"
        net.gw.sh("nft flush ruleset")
        assert nothing_is_forwarded(net, version)
        if orphaned:
            restart(net, lease, (6, "udp", version, 30001, net.b))
        else:
            assert net.probe.ask("inspect") == "structure"
            assert int(net.probe.ask("restore")) == 10
            assert net.probe.ask("inspect") == "none"
            endpoints = net.gw.sh(f"nft list set inet drpf endpoints{version}")
            assert ("203.0.113.7" if version == 4 else "2001:db8:77::") in endpoints
        assert echo(visit, b"a connection survives the gap")
        assert udp_visit(net.inet, net.public(version), 30001) is not None
        assert net.probe.ask("reconcile") == "0"


@VERSIONS
def test_without_the_dead_man_a_flush_opens_the_gateway(net, version):
    """The proof that the test above tests something."""
    net.start(options=["no-ownership"])
    net.gw.sh("for p in 100 101 102; do ip rule del pref $p; ip -6 rule del pref $p; done; nft flush ruleset")
    assert not nothing_is_forwarded(net, version)
    assert net.probe.ask("inspect") == "structure"
    net.probe.ask("restore")
    assert nothing_is_forwarded(net, version) is False  # devices' own traffic goes out again
    assert "fwmark 0/0x10000" in net.gw.sh("ip rule; ip -6 rule")


@pytest.mark.parametrize("damage, repaired", [
    ("nft delete element inet drpf dnat4 '{ 198.51.100.1 . tcp . 30001 }'", 1),
    ("nft delete element inet drpf live '{ 5 }'", 1),
    ("nft flush map inet drpf genin4; nft flush map inet drpf eim4", 2),
    ("nft add element inet drpf dnat4 '{ 198.51.100.1 . tcp . 30002 : 10.77.0.3 . 22 }'; nft add element inet drpf live '{ 77 }'", 2),
    ("nft delete element inet drpf dnat4 '{ 198.51.100.1 . tcp . 30001 }'; "
     "nft add element inet drpf dnat4 '{ 198.51.100.1 . tcp . 30001 timeout 600s : 10.77.0.2 . 22 }'", 1),
    ("nft delete element inet drpf live '{ 5 }'; nft add element inet drpf live '{ 5 timeout 30s }'", 1),
], ids=["redirect-deleted", "live-deleted", "maps-flushed", "foreign-elements", "redirect-bent", "shortened"])
def test_drift_is_seen_and_repaired(net, damage, repaired):
    net.start(options=["no-ownership"])
    net.change(("install", 5, "tcp", 4, 30001, net.b))
    assert net.probe.ask("inspect") == "none"
    net.gw.sh(damage)
    assert net.probe.ask("inspect") == "elements"
    assert int(net.probe.ask("reconcile")) == repaired
    assert net.probe.ask("reconcile") == "0"
    assert net.probe.ask("inspect") == "none"
    with TcpServer(net.b.host, 30001):
        assert tcp_visit(net.inet, net.public(4), 30001) is not None


@pytest.mark.parametrize("damage", [
    "nft insert rule inet drpf forward accept",
    "nft flush chain inet drpf early",
    "nft add table inet drpf '{ flags dormant; }'",
    "nft delete rule inet drpf input handle $(nft -a list chain inet drpf input | sed -n 's/.*tunnel_input.*handle //p')",
    "nft 'chain inet drpf forward { policy accept; }'",
])
def test_a_changed_structure_is_seen_and_restored(net, damage):
    net.start(options=["no-ownership"])
    before = net.gw.sh("nft -t list table inet drpf | sed 's/packets.*bytes [0-9]*//'")
    net.gw.sh(damage)
    assert net.probe.ask("inspect") == "structure"
    assert net.probe.ask("inspect") == "structure"  # until it is restored
    net.probe.ask("restore")
    assert net.gw.sh("nft -t list table inet drpf | sed 's/packets.*bytes [0-9]*//'") == before
    assert net.probe.ask("inspect") == "none"


@pytest.mark.parametrize("failing", ["endpoint 203.0.113.9 60000", "change"])
def test_a_foreign_change_that_makes_our_own_fail_is_not_taken_for_ours(net, failing):
    """Between the change and its event: our transaction meets no table, and the rule sets have changed once, as if it had been by us."""
    net.start(options=["no-ownership"])
    net.gw.sh("nft delete table inet drpf")
    with pytest.raises(ProbeError):
        if failing == "change":
            net.change(("install", 5, "tcp", 4, 30001, net.b))
        else:
            net.probe.ask(*failing.split())
    assert net.probe.ask("inspect") == "structure"
    net.probe.ask("restore")
    assert net.probe.ask("inspect") == "none"


def test_writing_while_others_write_finds_its_way(net):
    """An element that somebody took, and one that somebody put in the way."""
    net.start(options=["no-ownership", "no-destroy"])
    net.change(("install", 5, "tcp", 4, 30001, net.b))
    net.gw.sh("nft delete element inet drpf dnat4 '{ 198.51.100.1 . tcp . 30001 }'")
    net.gw.sh("nft add element inet drpf dnat4 '{ 198.51.100.1 . tcp . 30002 timeout 600s : 10.77.0.2 . 22 }'")
    net.change(("remove", 5, "tcp", 4, 30001, net.b), ("install", 6, "tcp", 4, 30002, net.b))
    assert net.probe.ask("reconcile") == "0"
    with TcpServer(net.b.host, 30002):
        assert tcp_visit(net.inet, net.public(4), 30002) is not None


@VERSIONS
def test_another_rule_set_keeps_leases_and_connections(net, version):
    net.start()
    net.change(("install", 5, "tcp", version, 30001, net.b))
    with TcpServer(net.b.host, 30001), TcpServer(net.gw, 8080), connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        assert tcp_visit(net.inet, net.public(version), 8080, seconds=0.5) is None
        net.probe.ask("set", "input_tcp", "8080")
        net.probe.ask("ruleset")
        assert tcp_visit(net.inet, net.public(version), 8080) is not None
        assert echo(visit)
        net.probe.ask("set", "input_tcp", "20000")  # inside the pool: refused, and nothing changes
        with pytest.raises(ProbeError, match="port_plan_overlap"):
            net.probe.ask("ruleset")
        assert echo(visit)
        assert tcp_visit(net.inet, net.public(version), 8080) is not None
        assert net.probe.ask("inspect") == "none"


def test_remains_of_another_version_are_replaced(net):
    net.gw.nft("""table inet drpf {
      set live { type ipv4_addr; }
      chain early { type filter hook prerouting priority 5; policy drop; }
      chain of_old { type filter hook input priority 0; policy drop; }
    }""")
    net.start()
    net.change(("install", 5, "tcp", 4, 30001, net.b))
    assert "of_old" not in net.gw.sh("nft list table inet drpf")
    with TcpServer(net.b.host, 30001):
        assert tcp_visit(net.inet, net.public(4), 30001) is not None


def test_an_old_chain_in_an_orphan_goes_and_elements_stay(net):
    net.start()
    net.change(("install", 5, "tcp", 4, 30001, net.b))
    net.probe.kill()
    net.gw.sh("nft add chain inet drpf of_old '{ type filter hook input priority 0; policy drop; }'; nft add rule inet drpf of_old drop")
    restart(net, (5, "tcp", 4, 30001, net.b))
    assert "of_old" not in net.gw.sh("nft list table inet drpf")
    with TcpServer(net.b.host, 30001):
        assert tcp_visit(net.inet, net.public(4), 30001) is not None


@VERSIONS
def test_down_leaves_nothing(net, version):
    probe = net.start()
    net.change(("install", 5, "tcp", version, 30001, net.b))
    with TcpServer(net.b.host, 30001), connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        second = net.new_probe()
        with pytest.raises(ProbeError, match="gateway_running"):
            second.ask("down")
        probe.kill()
        second.ask("down")
        assert "drpf" not in net.gw.sh("nft list ruleset")
        assert "0x10000" not in net.gw.sh("ip rule; ip -6 rule")
        assert "mark=5" not in net.gw.sh("conntrack -L -f ipv4; conntrack -L -f ipv6")
        second.ask("down")


def test_forwarding_keeps_addresses_that_routers_announce(net):
    net.gw.sh("sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.wan.accept_ra=1")
    net.start()
    assert net.gw.sysctl("net.ipv4.ip_forward") == "1"
    assert net.gw.sysctl("net.ipv6.conf.all.forwarding") == "1"
    assert net.gw.sysctl("net.ipv6.conf.wan.accept_ra") == "2"


def test_links_and_routes_are_read(net):
    probe = net.new_probe()
    answer = probe.ask("links").split()
    assert "wan:1500:up" in answer and "tun0:1420:up" in answer
    assert answer.count("default:wan:198.51.100.254") == 1 and "address:198.51.100.1" in answer
    assert "default:wan:2001:db8:51::fe" in answer and "address:2001:db8:51::1" in answer


@VERSIONS
def test_a_visit_without_lease_is_dropped_while_its_generation_is_missing(net, version):
    """The redirect outlives the generation: the flow must not slip in unmarked (R1, R3)."""
    net.start(options=["no-ownership"])
    net.change(("install", 5, "udp", version, 30001, net.b))
    public = net.public(version)
    net.gw.sh(f"nft delete element inet drpf genin{version} '{{ {public} . udp . 30001 }}'")
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as holder, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        for _ in range(10):
            visitor.sendto(b"x", (public, 30001))
        assert receive_all(holder, 0.5) == []
