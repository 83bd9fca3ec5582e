"""When a lease ends or moves: not one packet of it reaches the old holder after the answer, in either direction, IPv4 and IPv6."""
import socket
import time

import pytest
from namespaces import wait_for
from redirect_lab import RedirectLab, Stream, drain, new_socket, receive_all
from traffic import TcpServer, connect, read_line, tcp_visit, udp_visit

VERSIONS = pytest.mark.parametrize("version", [4, 6])
# Kernels before 6.12 and 6.3 cannot update a timeout in place or destroy what may be missing; before 6.9 nobody owns a table.
KERNELS = pytest.mark.parametrize("kernel", [(), ("no-renewal",), ("no-renewal", "no-destroy", "no-ownership")],
                                  ids=["newest", "no-renewal", "oldest"])


@pytest.fixture
def net(make_lab):
    return RedirectLab(make_lab(homes=0))


def streaming(net, version, receiver, visitor, port=30001):
    """A running stream from the visitor to the lease, seen by its holder."""
    stream = Stream(visitor, (net.public(version), port))
    wait_for(lambda: len(drain(receiver)) > 0 and stream.sent > 20, 5, "the stream runs")
    return stream


def goes_on(stream, packets=100):
    sent = stream.sent
    wait_for(lambda: stream.sent > sent + packets, 10)


@VERSIONS
@KERNELS
@pytest.mark.quick
def test_after_revocation_nothing_reaches_the_holder(net, version, kernel):
    net.start(options=kernel)
    net.change(("install", 5, "udp", version, 30001, net.b))
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as holder, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with streaming(net, version, holder, visitor) as stream:
            net.change(("remove", 5, "udp", version, 30001, net.b))
            drain(holder)
            goes_on(stream)
            assert drain(holder) == []
            assert net.probe.ask("reconcile") == "0"


@VERSIONS
def test_after_revocation_nothing_of_the_holder_gets_out_or_is_answered(net, version):
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b))
    to = (net.visitor(version), 41001)
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as holder, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with Stream(holder, to) as stream:
            wait_for(lambda: any(peer == (net.public(version), 30001) for _, peer in drain(visitor)), 5, "the holder is heard from its lease")
            net.change(("remove", 5, "udp", version, 30001, net.b))
            drain(visitor)
            goes_on(stream)
            later = drain(visitor)
            # The device may go on sending as every device may, but not from the port that is no longer its own.
            assert {peer[1] for _, peer in later} & {30001} == set()
            for _ in range(20):
                visitor.sendto(b"to the old port", (net.public(version), 30001))
            time.sleep(0.2)
            assert drain(holder) == []


@VERSIONS
def test_an_open_connection_is_reset_when_its_lease_ends(net, version):
    net.start()
    net.change(("install", 5, "tcp", version, 30001, net.b))
    with TcpServer(net.b.host, 30001), connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        net.change(("remove", 5, "tcp", version, 30001, net.b))
        visit.settimeout(5)
        with pytest.raises(ConnectionResetError):
            visit.sendall(b"x")
            visit.recv(10)
        assert tcp_visit(net.inet, net.public(version), 30001, seconds=0.5) is None


@VERSIONS
@KERNELS
def test_a_moved_lease_feeds_only_the_new_holder(net, version, kernel):
    net.start(options=kernel)
    net.change(("install", 5, "udp", version, 30001, net.b))
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as old, net.a.socket(version, socket.SOCK_DGRAM, 30001) as new, \
            new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with streaming(net, version, old, visitor) as stream:
            net.change(("remove", 5, "udp", version, 30001, net.b), ("install", 6, "udp", version, 30001, net.a))
            answered = time.monotonic()
            drain(old)
            wait_for(lambda: drain(new), 2, "the new holder receives", every=0.002)
            assert time.monotonic() - answered < 1
            goes_on(stream)
            assert drain(old) == []
            assert len(drain(new)) > 50


@VERSIONS
def test_the_old_conversation_is_not_told_to_the_new_holder(net, version):
    """Mid-stream pickup: with the kernel's default the old peer's next segment would open a connection to the new holder."""
    net.start()
    net.change(("install", 5, "tcp", version, 30001, net.b))
    with TcpServer(net.b.host, 30001), TcpServer(net.a.host, 30001) as new, connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        with net.a.host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0800 if version == 4 else 0x86DD) as tap:
            tap.bind(("tunnel", 0x0800 if version == 4 else 0x86DD))
            net.change(("remove", 5, "tcp", version, 30001, net.b), ("install", 6, "tcp", version, 30001, net.a))
            visit.settimeout(5)
            with pytest.raises(ConnectionResetError):
                visit.sendall(b"secret of the old conversation")
                visit.recv(10)
            assert [packet for packet, _ in receive_all(tap, 0.5) if b"secret" in packet] == []
        assert new.peers == []
        assert tcp_visit(net.inet, net.public(version), 30001) is not None


@VERSIONS
def test_a_lease_that_ended_alone_does_not_shut_the_next_holder_out(net, version):
    """Its time is over, the old visitor's stream keeps the kernel's entry alive, and the port is given to somebody else."""
    net.start()
    net.change(("install", 5, "udp", version, 30001, net.b, 30001, 1500))
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as old, net.a.socket(version, socket.SOCK_DGRAM, 30001) as new, \
            new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with streaming(net, version, old, visitor) as stream:
            wait_for(lambda: net.counter("revoked") > 0, 10, "the lease runs out in the kernel")
            drain(old)
            net.change(("install", 6, "udp", version, 30001, net.a))
            wait_for(lambda: drain(new), 2, "the new holder receives")
            goes_on(stream)
            assert drain(old) == []


def walks(net):
    """How often the table of connections was walked, of which the first is the start's."""
    return int(net.probe.ask("purged").split()[0])


@VERSIONS
@pytest.mark.quick
def test_what_no_packet_used_is_not_looked_for_in_the_table_of_connections(net, version):
    net.start()
    before = walks(net)
    net.change(("install", 5, "udp", version, 30001, net.b), ("install", 6, "tcp", version, 30001, net.b))
    net.change(("renew", 5, "udp", version, 30001, net.b))
    with net.b.udp_server(version, 30002):
        assert udp_visit(net.inet, net.public(version), 30002, seconds=0.3) is None, "another port than the lease's"
    net.change(("remove", 5, "udp", version, 30001, net.b), ("remove", 6, "tcp", version, 30001, net.b))
    assert walks(net) == before
    net.change(("install", 7, "udp", version, 30001, net.b))
    with net.b.udp_server(version, 30001):
        assert udp_visit(net.inet, net.public(version), 30001) is not None
    net.change(("remove", 7, "udp", version, 30001, net.b))
    assert walks(net) == before + 1


@VERSIONS
@pytest.mark.parametrize("kernel", [(), ("no-renewal",)], ids=["newest", "no-renewal"])
def test_every_kind_of_use_is_found_in_the_table_of_connections(net, version, kernel):
    """Visits and what the device sends itself; also where another lease to the same port of the device spoke for it meanwhile, where the
    lease ran out, where the gateway was another one then, and where too many end at once to be asked about."""
    def marked():
        return net.gw.sh("conntrack -L 2>/dev/null | grep -c -E ' mark=[1-9]' || true").strip()

    def speak():
        with net.b.socket(version, socket.SOCK_DGRAM, 30001) as device:
            device.sendto(b"out", (net.visitor(version), 41001))
            wait_for(lambda: marked() == "1", 5, "the connection has its mark")

    def gone():
        net.probe.ask("purged")
        assert marked() == "0"

    net.start(options=kernel)
    net.change(("install", 5, "udp", version, 30001, net.b))
    speak()
    net.change(("remove", 5, "udp", version, 30001, net.b))
    gone()
    # Generation 7 speaks for the port until 6 comes, which is before it in order; it counts nothing afterwards.
    net.change(("install", 7, "udp", version, 30002, net.b, 30001))
    speak()
    net.change(("install", 6, "udp", version, 30001, net.b))
    net.change(("remove", 7, "udp", version, 30002, net.b, 30001))
    gone()
    speak()
    net.probe.kill()
    net.start(options=kernel)
    net.change(("install", 6, "udp", version, 30001, net.b))
    net.change(("remove", 6, "udp", version, 30001, net.b))
    gone()
    net.change(("install", 20, "udp", version, 30001, net.b, 30001, 1000))
    speak()
    time.sleep(1.2)
    net.change(("remove", 20, "udp", version, 30001, net.b))
    gone()
    many = [(30 + n, "udp", version, 30001 + n, net.b, 30001 + n) for n in range(200)]
    net.change(*(("install", *lease) for lease in many))
    speak()
    net.change(*(("remove", *lease) for lease in many))
    gone()


@VERSIONS
@KERNELS
def test_a_renewed_lease_outlives_its_first_time(net, version, kernel):
    net.start(options=kernel)
    net.change(("install", 5, "udp", version, 30001, net.b, 30001, 1500))
    net.change(("renew", 5, "udp", version, 30001, net.b, 30001, 60_000))
    with net.b.socket(version, socket.SOCK_DGRAM, 30001) as holder, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with streaming(net, version, holder, visitor) as stream:
            goes_on(stream, 400)
            drain(holder)
            goes_on(stream)
            assert len(drain(holder)) > 50
    assert net.probe.ask("reconcile") == "0"


@VERSIONS
def test_the_other_family_of_a_lease_goes_on(net, version):
    other = 10 - version
    net.start()
    net.change(("install", 5, "udp", 4, 30001, net.b), ("install", 5, "udp", 6, 30001, net.b))
    net.change(("remove", 5, "udp", version, 30001, net.b))
    with net.b.udp_server(4, 30001), net.b.udp_server(6, 30001):
        assert udp_visit(net.inet, net.public(other), 30001) is not None
        assert udp_visit(net.inet, net.public(version), 30001, seconds=0.5) is None
    assert net.probe.ask("reconcile") == "0"


@VERSIONS
@KERNELS
def test_removing_what_has_run_out_already_is_no_error(net, version, kernel):
    net.start(options=kernel)
    net.change(("install", 5, "udp", version, 30001, net.b, 30001, 300), ("install", 6, "tcp", version, 30002, net.b))
    time.sleep(1.0)
    net.change(("remove", 5, "udp", version, 30001, net.b), ("remove", 6, "tcp", version, 30002, net.b))
    assert net.probe.ask("reconcile") == "0"


@VERSIONS
def test_many_leases_end_at_once(net, version):
    net.start()
    net.change(*(("install", 100 + port, "udp", version, 20000 + port, net.b) for port in range(50)))
    with net.b.socket(version, socket.SOCK_DGRAM, 20007) as holder, new_socket(net.inet, version, socket.SOCK_DGRAM, 41001) as visitor:
        with streaming(net, version, holder, visitor, 20007) as stream:
            net.change(*(("remove", 100 + port, "udp", version, 20000 + port, net.b) for port in range(50)))
            drain(holder)
            goes_on(stream)
            assert drain(holder) == []
